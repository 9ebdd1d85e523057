import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage, RetryableError } from '../errors.ts';
import { createLocalApi, type LocalApi } from './local-api.ts';
import type { Surroundings } from './tailscaled-location.ts';

export interface TailscaledOptions {
  /** Folder of its state: with it, the next start is the same device, without a new key. */
  stateDir: string;
  socket: string;
  /** Marks and the like; what the surroundings ask for is added. */
  environment: Record<string, string>;
}

export interface Tailscaled {
  api: LocalApi;
  /** Resolves with the end of what it said, whatever ended it. */
  exited: Promise<string>;
  stop(): Promise<void>;
}

const ANSWER_TIMEOUT_MS = 15_000;
const END_TIMEOUT_MS = 2_000;
const KEPT_CHARACTERS = 500;

/**
 * Runs a tailscaled of our own that needs no rights and touches nothing of the host: what goes through it is dialled through it. It sends no logs
 * to Tailscale. Returns once it answers.
 * @throws RetryableError with the end of its output where it does not.
 */
export async function runTailscaled(
  surroundings: Surroundings,
  options: TailscaledOptions,
): Promise<Tailscaled> {
  // One that was killed leaves its socket, on which nobody would answer.
  rmSync(options.socket, { force: true });
  const [command, ...args] = tailscaledCommand(surroundings, options);
  const child = spawn(command!, args, {
    env: { ...options.environment, ...surroundings.environment, TS_NO_LOGS_NO_SUPPORT: 'true' },
    stdio: ['ignore', 'ignore', 'pipe'],
    // Ctrl-C is for the service, which still needs this while it stops.
    detached: true,
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-KEPT_CHARACTERS);
  });
  const exited = once(child, 'exit').then(
    () => said.trim(),
    (error) => errorMessage(error),
  );
  const stop = async () => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  };
  const api = createLocalApi(options.socket);
  try {
    await Promise.race([untilAnswers(api), exited.then(failed)]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { api, exited, stop };
}

export function tailscaledCommand(
  { enter, tailscaled }: Surroundings,
  { socket, stateDir }: Pick<TailscaledOptions, 'socket' | 'stateDir'>,
): string[] {
  return [
    ...enter,
    tailscaled,
    '--tun=userspace-networking',
    `--socket=${socket}`,
    `--statedir=${stateDir}`,
    '--port=0',
  ];
}

function failed(said: string): never {
  throw new RetryableError(`tailscaled ended at once: ${said}`);
}

async function untilAnswers(api: LocalApi): Promise<void> {
  for (const deadline = Date.now() + ANSWER_TIMEOUT_MS; ; ) {
    try {
      await api.status();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(20);
    }
  }
}
