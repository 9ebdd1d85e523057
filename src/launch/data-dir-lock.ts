import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { processIdentity } from './processes-alive.ts';

/** The process that hosts a DATA_DIR's database and sandbox. */
export interface DataDirOwner {
  pid: number;
  startedAt: Date;
}

export type DataDirClaim = { role: 'host'; release(): void } | { role: 'join'; owner: DataDirOwner };

const recordSchema = z.object({
  pid: z.number().int(),
  identity: z.string(),
  startedAt: z.iso.datetime(),
  released: z.boolean(),
});
type OwnerRecord = z.infer<typeof recordSchema>;

/**
 * Decides whether this process hosts DATA_DIR (made with mode 0700 if absent) or joins the one that does.
 * Exactly one live process is host at any moment; one that died without releasing is succeeded.
 *
 * Ownership is a row of numbered files of which the highest counts. A successor makes the next number, which the
 * file system lets only one do; nothing is ever replaced, so there is no moment at which two could take over from
 * the same dead owner, or one could remove what another has just claimed.
 */
export async function claimDataDir(dataDir: string): Promise<DataDirClaim> {
  const folder = join(dataDir, 'host');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (;;) {
    const number = highestNumber(folder);
    const record = number === 0 ? null : readRecord(folder, number);
    if (record !== null && isLive(record)) {
      return { role: 'join', owner: { pid: record.pid, startedAt: new Date(record.startedAt) } };
    }
    const mine = number + 1;
    if (!claimNumber(folder, mine)) continue;
    // A starter that slept since its look may have made a number that others have long passed and cleared away.
    if (highestNumber(folder) !== mine) {
      rmSync(join(folder, fileName(mine)), { force: true });
      continue;
    }
    for (const passed of ownerNumbers(folder)) {
      if (passed < mine) rmSync(join(folder, fileName(passed)), { force: true });
    }
    return { role: 'host', release: () => release(folder, mine) };
  }
}

/** The live host of a DATA_DIR, or `null`. */
export function findDataDirOwner(dataDir: string): DataDirOwner | null {
  const folder = join(dataDir, 'host');
  const number = highestNumber(folder);
  const record = number === 0 ? null : readRecord(folder, number);
  return record !== null && isLive(record)
    ? { pid: record.pid, startedAt: new Date(record.startedAt) }
    : null;
}

function isLive(record: OwnerRecord): boolean {
  return !record.released && processIdentity(record.pid) === record.identity;
}

/** Makes the file with its content in one step, or finds that somebody else has made it. */
function claimNumber(folder: string, number: number): boolean {
  const unfinished = writeUnfinished(folder, false);
  try {
    linkSync(unfinished, join(folder, fileName(number)));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(unfinished, { force: true });
  }
}

/** Marks the number as free. It is kept, so that numbers only ever grow. */
function release(folder: string, number: number): void {
  if (highestNumber(folder) !== number) return;
  renameSync(writeUnfinished(folder, true), join(folder, fileName(number)));
}

function writeUnfinished(folder: string, released: boolean): string {
  const identity = processIdentity(process.pid);
  if (identity === null)
    throw new Error('This system does not tell when a process started (is /proc mounted?)');
  const record: OwnerRecord = { pid: process.pid, identity, startedAt: new Date().toISOString(), released };
  const path = join(folder, `unfinished-${process.pid}-${randomBytes(4).toString('hex')}`);
  writeFileSync(path, JSON.stringify(record), { mode: 0o600 });
  return path;
}

/** `null` when the file has just been cleared away, or a power cut left it empty. */
function readRecord(folder: string, number: number): OwnerRecord | null {
  try {
    return recordSchema.parse(JSON.parse(readFileSync(join(folder, fileName(number)), 'utf8')));
  } catch {
    return null;
  }
}

const fileName = (number: number) => `owner-${number}.json`;

function ownerNumbers(folder: string): number[] {
  try {
    return readdirSync(folder).flatMap((name) => {
      const match = /^owner-(\d+)\.json$/.exec(name);
      return match === null ? [] : [Number(match[1])];
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

const highestNumber = (folder: string) => Math.max(0, ...ownerNumbers(folder));
