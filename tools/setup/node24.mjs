import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root } from './set-up.mjs';

/**
 * Runs a script of this project under its own Node 24, from the top folder, on this terminal, and then ends as it did.
 * Signals: the terminal sends Ctrl-C to the whole foreground group, so the child has it already, and npm repeats it to
 * this process; passing it on would be a second one. SIGTERM comes to this process alone and is passed on.
 * @param {string} script  relative to the top folder
 * @param {string[]} args
 * @param {{ env: NodeJS.ProcessEnv, channel?: boolean }} options
 *   `channel`: an IPC channel, whose closing tells the child that this process is gone, even when it was killed
 * @returns {Promise<never>}
 */
export async function runNode24(script, args, { env, channel = false }) {
  const child = spawn(join(root, 'node_modules/.bin/node'), [script, ...args], {
    cwd: root,
    env,
    stdio: channel ? ['inherit', 'inherit', 'inherit', 'ipc'] : 'inherit',
  });
  // A Ctrl-C that was meant for this process alone (`kill -INT`) must stop the child too: closing the channel asks
  // it to, and is nothing new to a child that is stopping already.
  const closeChannel = () => {
    if (child.connected) child.disconnect();
  };
  process.on('SIGINT', closeChannel).on('SIGHUP', closeChannel);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  // A SIGTERM or SIGKILL for npm alone ends npm and its shell, and leaves this process behind with another parent.
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
