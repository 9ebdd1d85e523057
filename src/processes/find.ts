import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Finding processes by what their environment says: the only mark that every descendant of a runner carries, also those
 * (Ansible's workers) that have left its process group and session. Linux only; elsewhere nothing is found.
 */
export function findProcesses(matches: (environment: ReadonlyMap<string, string>) => boolean): number[] {
  return processIds().filter((pid) => {
    const environment = readEnvironment(pid);
    return pid !== process.pid && environment !== undefined && matches(environment);
  });
}

function processIds(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

function readEnvironment(pid: number): ReadonlyMap<string, string> | undefined {
  try {
    const entries = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    return new Map(
      entries.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
    );
  } catch {
    // It has ended, or belongs to somebody else.
    return undefined;
  }
}

/**
 * Ends processes at once and waits until they are gone. Repeats the look, since a process may start another while it is being ended.
 * @returns the ids that were ended.
 */
export async function endProcesses(
  matches: (environment: ReadonlyMap<string, string>) => boolean,
  timeoutSeconds = 5,
): Promise<number[]> {
  const ended = new Set<number>();
  const deadline = Date.now() + timeoutSeconds * 1000;
  for (let emptyLooks = 0; ; ) {
    const found = findProcesses(matches).filter((pid) => !isZombie(pid));
    // One that is just becoming another program shows no environment for a moment: a single look may miss it.
    emptyLooks = found.length === 0 ? emptyLooks + 1 : 0;
    if (emptyLooks === 2) return [...ended];
    if (Date.now() > deadline) throw new Error(`Processes ${found.join(', ')} could not be ended`);
    for (const pid of found) {
      ended.add(pid);
      signal(pid, 'SIGKILL');
    }
    await sleep(20);
  }
}

function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
  } catch {
    return true;
  }
}

/** Sends a signal to a process, or with a negative id to its group; a process that is gone is fine. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
