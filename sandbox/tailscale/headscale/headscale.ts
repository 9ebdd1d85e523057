import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createHeadscaleClient, type HeadscaleClient } from './client.ts';
import { type HeadscaleLocation, toHeadscaleSettings } from './settings.ts';

export interface HeadscaleOptions {
  /** Starts a program in the machines' network. */
  run: (command: string[], options: SpawnOptions) => ChildProcess;
  /** Folder of its database, keys and log; kept across restarts. */
  dir: string;
  binary: string;
  address: string;
  port: number;
  /** Default: a client on its socket. */
  client?: HeadscaleClient;
}

export interface Headscale {
  client: HeadscaleClient;
  /** The argument of `tailscale up --login-server`. */
  loginServer: string;
  /** When its present process was started, in milliseconds since 1970. */
  startedAt(): number;
  stop(): Promise<void>;
}

/**
 * Environment for every tailscaled on this network: the relay speaks plain HTTP. Without the relay, two
 * devices that have just joined take many seconds to connect. The machines' base image sets it in
 * /etc/default/tailscaled.
 */
export const RELAY_OVER_HTTP = { TS_DEBUG_USE_DERP_HTTP: '1' };

const READY_TIMEOUT_MS = 20_000;
const END_TIMEOUT_MS = 700;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;
/** The path of a unix socket is limited to about a hundred bytes. */
const SOCKET_PATH_BYTES = 100;
const SOCKET_NAME = 'headscale.sock';

/**
 * Runs headscale and restarts it whenever it exits. Resolves once it answers.
 * @throws Error that names its log if it does not answer in time.
 */
export async function startHeadscale(options: HeadscaleOptions): Promise<Headscale> {
  const folder = toSocketFolder(options.dir);
  const location: HeadscaleLocation = { ...options, socket: join(folder, SOCKET_NAME) };
  for (const path of [options.dir, folder]) mkdirSync(path, { recursive: true, mode: 0o700 });
  writePrivately(
    join(options.dir, 'config.yaml'),
    JSON.stringify(toHeadscaleSettings(location), undefined, 2),
  );
  const stopping = new AbortController();
  const client = options.client ?? createHeadscaleClient(location.socket);
  let startedAt = Date.now();
  const onStart = () => {
    startedAt = Date.now();
  };
  const keeping = keepRunning({ ...options, onStart }, location.socket, stopping.signal);
  const stop = async () => {
    stopping.abort();
    client.close();
    await keeping;
    if (folder !== options.dir) rmSync(folder, { recursive: true, force: true });
  };
  try {
    await Promise.race([waitUntilReady(client), keeping]);
  } catch (error) {
    await stop();
    throw new Error(`headscale does not answer, see ${logPath(options.dir)}`, { cause: error });
  }
  const loginServer = `http://${options.address}:${options.port}`;
  return { client, loginServer, startedAt: () => startedAt, stop };
}

async function waitUntilReady(client: HeadscaleClient): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  for (;;) {
    try {
      await client.call('health', {});
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await pause(100);
    }
  }
}

async function keepRunning(
  { onStart, ...options }: HeadscaleOptions & { onStart: () => void },
  socket: string,
  signal: AbortSignal,
): Promise<void> {
  let pauseMs = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    const startedAt = Date.now();
    onStart();
    await runOnce(options, socket, signal);
    if (signal.aborted) return;
    console.error('headscale exited unexpectedly: restarting it');
    pauseMs = Date.now() - startedAt > LONGEST_PAUSE_MS ? FIRST_PAUSE_MS : pauseMs * 2;
    await pause(Math.min(pauseMs, LONGEST_PAUSE_MS), undefined, { signal }).catch(() => undefined);
  }
}

/** Runs one process until it exits. The signal sends SIGTERM, and SIGKILL if it does not exit in time. */
async function runOnce({ run, dir, binary }: HeadscaleOptions, socket: string, signal: AbortSignal) {
  // A killed process leaves a dead socket behind.
  rmSync(socket, { force: true });
  const log = openSync(logPath(dir), 'a', 0o600);
  const command = [binary, 'serve', '--config', join(dir, 'config.yaml')];
  // headscale creates its database with the default permissions.
  const child = run(['sh', '-c', 'umask 077 && exec "$@"', 'sh', ...command], {
    cwd: dir,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const ended = once(child, 'exit').catch(() => undefined);
  const end = () => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS);
    void ended.then(() => clearTimeout(timer));
  };
  signal.addEventListener('abort', end);
  if (signal.aborted) end();
  await ended;
  signal.removeEventListener('abort', end);
}

const logPath = (dir: string) => join(dir, 'headscale.log');

/**
 * Returns the folder of the socket: headscale's own, or, if that path is too long, one below `/run`, in which
 * only root can create folders (real machines need root anyway).
 */
function toSocketFolder(dir: string): string {
  if (Buffer.byteLength(join(dir, SOCKET_NAME)) <= SOCKET_PATH_BYTES) return dir;
  return `/run/agent-stacks-headscale-${createHash('sha256').update(dir).digest('hex').slice(0, 16)}`;
}

function writePrivately(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
