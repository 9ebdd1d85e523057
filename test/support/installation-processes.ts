import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { processArguments, processIdentity } from '../../src/processes/alive.mjs';
import { eventually } from './eventually.ts';

export interface InstallationProcess {
  pid: number;
  command: string;
}

/**
 * Finds the processes of an installation by its DATA_DIR: in their environment (at least as TMPDIR), in their
 * arguments, or as their working folder (Postgres gets no environment).
 */
export function findInstallationProcesses(dataDir: string): InstallationProcess[] {
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

/** Waits until none of these processes is left. @throws Error that names those that are */
export async function untilAllExited(dataDir: string, withinSeconds: number): Promise<void> {
  await eventually(
    `all processes of ${dataDir} have ended`,
    () => findInstallationProcesses(dataDir).length === 0,
    {
      withinSeconds,
      describe: () =>
        findInstallationProcesses(dataDir)
          .map(({ pid, command }) => `${pid} ${command}`)
          .join('\n'),
    },
  );
}
