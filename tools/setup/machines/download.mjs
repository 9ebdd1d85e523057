import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fetchTo } from '../fetch.mjs';
import { SetupError } from '../run.mjs';

/** @typedef {import('../set-up.mjs').Context} Context */

/**
 * Returns Go's name of this machine's architecture, as in the names of official downloads, or `null` if there
 * is none.
 */
export function goArchitecture(platform = process.platform, architecture = process.arch) {
  if (platform !== 'linux') return null;
  return { x64: 'amd64', arm64: 'arm64' }[/** @type {string} */ (architecture)] ?? null;
}

/**
 * Downloads an official file into `folder` and compares its official checksum. Without a checksum it is not
 * used: it will run as root.
 * @param {Context} context
 * @param {{ title: string, url: string, checksumUrl: string, folder: string }} wanted
 * @returns {Promise<{ unavailable: string } | { file: string }>}
 */
export async function download(context, { title, url, checksumUrl, folder }) {
  const name = /** @type {string} */ (url.split('/').at(-1));
  const [file, list] = [join(folder, name), join(folder, 'checksums')];
  return context.progress.step(`Downloading ${title}`, 'for real machines', async (step) => {
    for (const [from, to] of /** @type {[string, string][]} */ ([
      [checksumUrl, list],
      [url, file],
    ])) {
      const failure = await fetchTo(context, from, to, step.note);
      if (failure === null) continue;
      step.outcome(`not available (${failure})`);
      return { unavailable: failure };
    }
    const wanted = listedChecksum(readFileSync(list, 'utf8'), name);
    rmSync(list);
    const hash = createHash('sha256');
    await pipeline(createReadStream(file), hash);
    if (hash.digest('hex') !== wanted)
      throw new SetupError(`${name} does not match its official checksum. Not used.`);
    return { file };
  });
}

/**
 * Finds a checksum in a list written by `sha256sum`, or in a file with nothing but one checksum.
 * @param {string} list
 * @param {string} name
 */
export function listedChecksum(list, name) {
  const lines = list.split('\n').map((line) => line.trim().split(/\s+\*?/));
  return lines.find(([sum, file]) => sum !== '' && (file === undefined || file === name))?.[0];
}
