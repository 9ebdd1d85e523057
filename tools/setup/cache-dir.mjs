import { accessSync, constants, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { realPath } from '../../src/processes/real-path.mjs';
import { SetupError } from './run.mjs';

/**
 * Returns the real path of the folder for tools, which are set up once per user and version; creates it with
 * mode 0700 if absent.
 * @param {string} root  what a relative CACHE_DIR is relative to
 * @param {NodeJS.ProcessEnv} env
 * @returns {string}
 */
export function prepareCacheDir(root, env) {
  const folder = cacheDirPath(root, env, process.platform);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new SetupError(
      `Cannot write to the folder for tools, ${folder}: ${/** @type {Error} */ (error).message}\n` +
        'Set CACHE_DIR to a writable folder.',
    );
  }
  return realPath(folder);
}

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @param {NodeJS.Platform} platform
 */
export function cacheDirPath(root, env, platform) {
  if (env.CACHE_DIR) return resolve(root, env.CACHE_DIR);
  // The XDG specification says to ignore relative paths.
  if (env.XDG_CACHE_HOME && isAbsolute(env.XDG_CACHE_HOME)) return join(env.XDG_CACHE_HOME, 'agent-stacks');
  const home = env.HOME || accountHome();
  if (!home) throw new SetupError('No home folder to keep tools in. Set HOME or CACHE_DIR.');
  return platform === 'darwin'
    ? join(home, 'Library', 'Caches', 'agent-stacks')
    : join(home, '.cache', 'agent-stacks');
}

function accountHome() {
  try {
    return homedir();
  } catch {
    return '';
  }
}
