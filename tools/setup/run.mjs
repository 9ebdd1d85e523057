import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** A problem that the user can fix; the message says how. Shown without a stack. */
export class SetupError extends Error {}

/** The user interrupted the set-up. */
export class Interrupted extends Error {}

/**
 * @typedef {{ code: number | null, output: string }} Outcome
 * @typedef {{
 *   cwd?: string, env?: NodeJS.ProcessEnv, signal?: AbortSignal | undefined, onLine?: (line: string) => void,
 * }} RunOptions
 * @typedef {(command: string, args: string[], options?: RunOptions) => Promise<Outcome>} Run
 */

/**
 * Runs a program to its end and returns its exit code and the tail of its output (both streams). A program
 * that cannot be started gives code 127. If the signal aborts, the program and all its children are ended
 * before this throws.
 * @type {Run}
 */
export async function run(command, args, options = {}) {
  const { signal, onLine } = options;
  if (signal?.aborted) throw new Interrupted();
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    // Its own process group, to end it with its children: npm and go start many.
    detached: true,
  });
  const end = () => endGroup(child.pid);
  signal?.addEventListener('abort', end, { once: true });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (/** @type {string} */ chunk) => {
      output = (output + chunk).slice(-20_000);
      for (const line of chunk.split('\n')) if (line !== '') onLine?.(line);
    });
  }
  /** @type {number | null} */
  const code = await new Promise((resolve) => {
    child.once('error', (error) => {
      output += error.message;
      resolve(127);
    });
    child.once('close', resolve);
  });
  signal?.removeEventListener('abort', end);
  if (signal?.aborted) throw new Interrupted();
  return { code, output };
}

/** @param {number | undefined} pid */
function endGroup(pid) {
  const kill = (/** @type {NodeJS.Signals} */ signal) => {
    try {
      if (pid !== undefined) process.kill(-pid, signal);
    } catch {
      // It is already gone.
    }
  };
  kill('SIGTERM');
  setTimeout(kill, 2_000, 'SIGKILL').unref();
}

/**
 * The first program of that name on PATH, or `null`.
 * @param {string} name
 * @param {NodeJS.ProcessEnv} env
 */
export function findProgram(name, env) {
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name);
    if (folder !== '' && isProgram(path)) return path;
  }
  return null;
}

/** @param {string} path */
export function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * The last lines of a program's output, indented, for an error message.
 * @param {string} output
 */
export function lastLines(output) {
  return output
    .trimEnd()
    .split('\n')
    .slice(-12)
    .map((line) => `    ${line}`)
    .join('\n');
}
