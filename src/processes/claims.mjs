// Plain JavaScript, because the setup runs it with any Node version.
import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processIdentity } from './alive.mjs';

/**
 * @typedef {{ pid: number, startedAt: Date }} Owner
 * @typedef {{ pid: number, identity: string, startedAt: string, released: boolean }} OwnerRecord
 * @typedef {{ owner: null, release: () => void } | { owner: Owner }} Claim
 */

/**
 * Claims a folder (created with mode 0700 if absent) for this process, or returns the live process that owns
 * it. A folder has at most one live owner at any moment. If the owner died without releasing it, the next
 * caller takes over.
 *
 * Ownership is a series of numbered files, of which the highest counts. A successor creates the next number,
 * which the file system permits only once. No file is ever replaced, so two processes cannot both take over
 * from the same dead owner, and neither can remove a claim that another has just made.
 * @param {string} folder
 * @returns {Claim}
 */
export function claimFolder(folder) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (;;) {
    const owner = findOwner(folder);
    if (owner.live !== null) return { owner: owner.live };
    const mine = owner.number + 1;
    if (!claimNumber(folder, mine)) continue;
    // If this process was paused after it read the numbers, others may have passed this number and removed
    // it.
    if (highestNumber(folder) !== mine) {
      rmSync(join(folder, fileName(mine)), { force: true });
      continue;
    }
    for (const passed of ownerNumbers(folder)) {
      if (passed < mine) rmSync(join(folder, fileName(passed)), { force: true });
    }
    return { owner: null, release: () => release(folder, mine) };
  }
}

/**
 * Returns the live process that owns a folder, or `null`.
 * @param {string} folder
 * @returns {Owner | null}
 */
export function folderOwner(folder) {
  return findOwner(folder).live;
}

/**
 * @param {string} folder
 * @returns {{ number: number, live: Owner | null }}
 */
function findOwner(folder) {
  const number = highestNumber(folder);
  const record = number === 0 ? null : readRecord(folder, number);
  if (record === null || record.released || processIdentity(record.pid) !== record.identity) {
    return { number, live: null };
  }
  return { number, live: { pid: record.pid, startedAt: new Date(record.startedAt) } };
}

/**
 * Creates the file with its content atomically. Returns false if another process has created it.
 * @param {string} folder
 * @param {number} number
 */
function claimNumber(folder, number) {
  const unfinished = writeUnfinished(folder, false);
  try {
    linkSync(unfinished, join(folder, fileName(number)));
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(unfinished, { force: true });
  }
}

/**
 * Marks the number as released. The file stays, so that numbers only grow.
 * @param {string} folder
 * @param {number} number
 */
function release(folder, number) {
  if (highestNumber(folder) !== number) return;
  renameSync(writeUnfinished(folder, true), join(folder, fileName(number)));
}

/**
 * @param {string} folder
 * @param {boolean} released
 */
function writeUnfinished(folder, released) {
  const identity = processIdentity(process.pid);
  if (identity === null) throw new Error('Could not read when this process started (is /proc mounted?)');
  /** @type {OwnerRecord} */
  const record = { pid: process.pid, identity, startedAt: new Date().toISOString(), released };
  const path = join(folder, `unfinished-${process.pid}-${randomBytes(4).toString('hex')}`);
  writeFileSync(path, JSON.stringify(record), { mode: 0o600 });
  return path;
}

/**
 * Returns `null` if the file has just been removed, or a power cut left it empty.
 * @param {string} folder
 * @param {number} number
 * @returns {OwnerRecord | null}
 */
function readRecord(folder, number) {
  try {
    return JSON.parse(readFileSync(join(folder, fileName(number)), 'utf8'));
  } catch {
    return null;
  }
}

/** @param {number} number */
const fileName = (number) => `owner-${number}.json`;

/**
 * @param {string} folder
 * @returns {number[]}
 */
function ownerNumbers(folder) {
  try {
    return readdirSync(folder).flatMap((name) => {
      const match = /^owner-(\d+)\.json$/.exec(name);
      return match === null ? [] : [Number(match[1])];
    });
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return [];
    throw error;
  }
}

/** @param {string} folder */
const highestNumber = (folder) => Math.max(0, ...ownerNumbers(folder));
