import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { complain } from '../../src/processes/terminal-text.mjs';
import type { SandboxAnswer, SandboxStartMessage } from '../main.ts';

export interface HostedSandbox {
  url: string;
  pid: number;
  /** Resolves when the process has ended, whatever the cause. */
  exited: Promise<void>;
  stop(): Promise<void>;
}

const START_TIMEOUT_SECONDS = 30;

/** Starts the sandbox's process. It ends with this one: the channel between them is what it lives by. */
export async function hostSandbox(
  start: Omit<SandboxStartMessage, 'type'>,
  environment: Record<string, string>,
): Promise<HostedSandbox> {
  const child = fork(fileURLToPath(new URL('../main.ts', import.meta.url)), [], {
    env: environment,
    // What it complains of may quote what others sent it.
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    // Signals to the terminal's group are not for it: it is stopped in its turn, after those who still need it.
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
