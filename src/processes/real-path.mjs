// Plain JavaScript, because the setup runs it with any Node version.
import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

/**
 * Resolves all symbolic links in a path. The path need not exist: missing parts are appended to the nearest
 * existing folder.
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
