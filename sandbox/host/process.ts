import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { complain } from '../../src/processes/terminal-text.mjs';
import type { SandboxAnswer, SandboxStartMessage } from '../main.ts';

export interface HostedSandbox {
  url: string;
  pid: number;
  /** Resolves when the process has exited, for whatever reason. */
  exited: Promise<void>;
  stop(): Promise<void>;
}

const START_TIMEOUT_SECONDS = 30;

/** Starts the sandbox's process. It exits with this one, because their channel closes. */
export async function hostSandbox(
  start: Omit<SandboxStartMessage, 'type'>,
  environment: Record<string, string>,
): Promise<HostedSandbox> {
  const child = fork(fileURLToPath(new URL('../main.ts', import.meta.url)), [], {
    env: environment,
    // Its error output may quote untrusted input, so it is read and printed here.
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    // Its own process group, so that Ctrl-C does not end it: it stops after everything that still needs it.
    detached: true,
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  createInterface({ input: child.stderr! }).on('line', complain);
  const exited = once(child, 'exit').then(() => {});
  const answer = nextAnswer(child);
  child.send({ type: 'start', ...start });
  const message = await answer;
  if (message.type === 'failed') throw new Error(`The sandbox could not start: ${message.message}`);
  return {
    url: message.url,
    pid: child.pid!,
    exited,
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      await exited;
    },
  };
}

async function nextAnswer(child: ChildProcess): Promise<SandboxAnswer> {
  const signal = AbortSignal.timeout(START_TIMEOUT_SECONDS * 1000);
  const died = once(child, 'exit', { signal }).then(
    () => ({ type: 'failed', message: 'its process ended' }) as const,
  );
  const answered = once(child, 'message', { signal }).then(([message]) => message as SandboxAnswer);
  died.catch(() => {});
  answered.catch(() => {});
  return Promise.race([answered, died]);
}
