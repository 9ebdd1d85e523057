import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { errorMessage, RetryableError } from '../errors.ts';
import { poll } from '../processes/poll.ts';
import { createLocalApi, type LocalApi } from './local-api.ts';
import type { TailscaledLocation } from './tailscaled-location.ts';

export interface TailscaledOptions {
  /** Folder of its state. A later start with the same folder is the same device and needs no new key. */
  stateDir: string;
  socket: string;
  /** Process tags and the like; the location's own variables are added. */
  environment: Record<string, string>;
}

export interface Tailscaled {
  api: LocalApi;
  /** Resolves with the end of its output when it exits, for whatever reason. */
  exited: Promise<string>;
  stop(): Promise<void>;
}

const ANSWER_TIMEOUT_MS = 15_000;
const END_TIMEOUT_MS = 2_000;
const KEPT_CHARACTERS = 500;

/**
 * Runs our own tailscaled. It needs no privileges and changes nothing on the host: connections go through its
 * `dial`. It sends no logs to Tailscale. Returns once it answers.
 * @throws RetryableError with the end of its output if it does not answer.
 */
export async function runTailscaled(
  location: TailscaledLocation,
  options: TailscaledOptions,
): Promise<Tailscaled> {
  // A killed tailscaled leaves its socket behind.
  rmSync(options.socket, { force: true });
  const [command, ...args] = tailscaledCommand(location, options);
  const child = spawn(command!, args, {
    env: { ...options.environment, ...location.environment, TS_NO_LOGS_NO_SUPPORT: 'true' },
    stdio: ['ignore', 'ignore', 'pipe'],
    // Its own process group: on Ctrl-C the service still needs it while it stops.
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
  { enter, tailscaled }: TailscaledLocation,
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
  let reason: unknown;
  const ask = () =>
    api.status().catch((error) => {
      reason = error;
      return undefined;
    });
  if ((await poll(ask, { intervalMs: 20, timeoutMs: ANSWER_TIMEOUT_MS })) === undefined) throw reason;
}
