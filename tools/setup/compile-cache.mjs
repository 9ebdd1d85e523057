import { existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirPath } from './cache-dir.mjs';

const LONGEST_AGE_MS = 30 * 24 * 3600 * 1000;

/**
 * Returns the folder in which Node keeps compiled code, which halves the processor time that a process needs
 * to start; undefined where the folder for tools does not exist yet. Entries of older code are never read
 * again, so the folder is emptied when it is a month old.
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @param {number} [now]  in milliseconds since 1970
 * @returns {string | undefined}
 * @see https://nodejs.org/api/module.html#module-compile-cache
 */
export function compileCacheDir(root, env, now = Date.now()) {
  let folder;
  try {
    const cacheDir = cacheDirPath(root, env, process.platform);
    if (!existsSync(cacheDir)) return undefined;
    folder = join(cacheDir, 'compiled');
    if (now - statSync(folder).birthtimeMs > LONGEST_AGE_MS) rmSync(folder, { recursive: true });
  } catch {
    // There is no home folder, no such folder yet, or another process is removing it too.
  }
  return folder;
}
