import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root } from './set-up.mjs';

/**
 * Node's options for a long-lived process of the service, which allocates little: less room for new objects
 * (16 MiB by default) saves 30 MiB and costs no measurable processor time. The image has the same. A heap
 * that grows in small steps would save another 13 and doubles the slowest webhooks' time.
 */
export const serviceOptions = ['--max-semi-space-size=2'];

/**
 * The C library gives threads that allocate at the same time separate areas, each of which grows and keeps
 * what it has freed. Node's few threads do not contend: one area takes ten to twenty MiB less.
 */
export const serviceEnvironment = { MALLOC_ARENA_MAX: '1' };

/**
 * Runs a script of this project under its own Node 24, from the top folder, on this terminal, and exits with
 * its exit code. Signals: the terminal sends Ctrl-C to the whole foreground group, so the child already has
 * it, and npm repeats it to this process; passing it on would deliver it twice. SIGTERM reaches this process
 * alone and is passed on.
 * @param {string} script  relative to the top folder
 * @param {string[]} args
 * @param {{ env: NodeJS.ProcessEnv, channel?: boolean, nodeOptions?: readonly string[] }} options
 *   `channel`: an IPC channel that closes when this process ends, even when killed, and so tells the child
 * @returns {Promise<never>}
 */
export async function runNode24(script, args, { env, channel = false, nodeOptions = [] }) {
  const child = spawn(join(root, 'node_modules/.bin/node'), [...nodeOptions, script, ...args], {
    cwd: root,
    env,
    stdio: channel ? ['inherit', 'inherit', 'inherit', 'ipc'] : 'inherit',
  });
  // A Ctrl-C for this process alone (`kill -INT`) must stop the child too. Closing the channel asks it to
  // stop; a child that is already stopping ignores it.
  const closeChannel = () => {
    if (child.connected) child.disconnect();
  };
  process.on('SIGINT', closeChannel);
  // Without a terminal that could have hung up, it may ask the service to read its credentials again.
  const hasTerminal = process.stdin.isTTY === true || process.stdout.isTTY === true;
  process.on('SIGHUP', () => (hasTerminal ? closeChannel() : child.kill('SIGHUP')));
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  // A SIGTERM or SIGKILL for npm alone ends npm and its shell and leaves this process with another parent.
  const parent = process.ppid;
  if (channel && process.env.npm_lifecycle_event !== undefined)
    setInterval(() => process.ppid !== parent && closeChannel(), 500).unref();
  /** @type {[number | null, NodeJS.Signals | null]} */
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (...outcome) => resolve(outcome));
  });
  if (signal !== null) {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  process.exit(code ?? 1);
}
