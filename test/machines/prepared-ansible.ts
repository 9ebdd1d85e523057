import { readdirSync, readFileSync } from 'node:fs';
import { WORKER_TAG } from '../../src/processes/orphans.ts';

/** Seconds of processor time that configurations took in copies of the installation's prepared process. */
export function secondsInCopies(dataDir: string): number {
  const pid = readdirSync('/proc').find((name) => /^\d+$/.test(name) && isPrepared(name, dataDir));
  if (pid === undefined) return 0;
  // The fields after the name in parentheses; those of waited-for children count only copies.
  const fields = read(`/proc/${pid}/stat`)
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[13]) + Number(fields[14])) / 100;
}

/** Whether this is `configure serve` below a worker of the installation. */
function isPrepared(pid: string, dataDir: string): boolean {
  if (!read(`/proc/${pid}/cmdline`).endsWith('/configuring\0serve\0')) return false;
  const worker = new RegExp(`\\0${WORKER_TAG}=(\\d+) `).exec(`\0${read(`/proc/${pid}/environ`)}`)?.[1];
  return worker !== undefined && read(`/proc/${worker}/environ`).split('\0').includes(`DATA_DIR=${dataDir}`);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    // It has ended, or belongs to another user.
    return '';
  }
}
