import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { processArguments, processIdentity } from '../../../src/processes/alive.mjs';
import { eventually } from './waiting.ts';

export interface Relative {
  pid: number;
  command: string;
}

/**
 * The processes that belong to an installation: its DATA_DIR stands in their environment (as TMPDIR at least), their arguments, or is
 * where they work (Postgres is handed no environment).
 */
export function familyOf(dataDir: string): Relative[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && processIdentity(pid) !== null && belongs(pid, dataDir))
    .map((pid) => ({ pid, command: processArguments(pid).trim() }));
}

function belongs(pid: number, dataDir: string): boolean {
  const mentions = [
    () => readFileSync(`/proc/${pid}/environ`, 'utf8'),
    () => readFileSync(`/proc/${pid}/cmdline`, 'utf8'),
    () => readlinkSync(`/proc/${pid}/cwd`),
  ];
  return mentions.some((read) => {
    try {
      return read().includes(dataDir);
    } catch {
      return false;
    }
  });
}

/** Waits until nobody of the family is left. @throws Error that names who is. */
export async function untilNobody(dataDir: string, withinSeconds: number): Promise<void> {
  await eventually(`no process of ${dataDir} is left`, () => familyOf(dataDir).length === 0, {
    withinSeconds,
    describe: () =>
      familyOf(dataDir)
        .map(({ pid, command }) => `${pid} ${command}`)
        .join('\n'),
  });
}
