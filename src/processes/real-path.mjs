// Plain JavaScript, because the set-up uses it on whatever Node it finds.
import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

/**
 * The one path of a folder or file that may have several, by links on the way to it; what is not there yet is named below its nearest
 * folder that is.
 * @param {string} path
 * @returns {string}
 */
export function realPath(path) {
  const absolute = resolve(path);
  try {
    return realpathSync(absolute);
  } catch {
    const parent = dirname(absolute);
    return parent === absolute ? absolute : join(realPath(parent), basename(absolute));
  }
}
