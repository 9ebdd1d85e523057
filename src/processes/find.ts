import { readdirSync, readFileSync } from 'node:fs';
import { poll } from './poll.ts';

/**
 * Finds processes by a tag in their environment. Every descendant of an engine process inherits it, even
 * those that have left its process group and session (Ansible's workers). Linux only; elsewhere it finds
 * nothing.
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
    // It has ended, or belongs to another user.
    return undefined;
  }
}

/** Kills the processes with a matching environment as `killFound` does. @returns the ids that were killed */
export function killProcesses(
  matches: (environment: ReadonlyMap<string, string>) => boolean,
  timeoutSeconds = 5,
): Promise<number[]> {
  const find = () => findProcesses(matches).filter((pid) => !isZombie(pid));
  return killFound(find, timeoutSeconds * 1000);
}

/**
 * Kills the processes that `find` finds and waits until they are gone, and with them the namespaces, mounts
 * and interfaces that only they held. Scans repeatedly, since a process may start another while it is killed.
 * @returns the ids that were killed.
 */
export async function killFound(find: () => number[], timeoutMs = 5000): Promise<number[]> {
  const killed = new Set<number>();
  let found: number[] = [];
  let emptyScans = 0;
  const scan = () => {
    found = find();
    // A process in the middle of an exec shows no environment for a moment, so one scan may miss it.
    emptyScans = found.length === 0 ? emptyScans + 1 : 0;
    if (emptyScans === 2) return true;
    for (const pid of found) {
      killed.add(pid);
      signal(pid, 'SIGKILL');
    }
    return undefined;
  };
  if ((await poll(scan, { intervalMs: 20, timeoutMs })) === undefined)
    throw new Error(`Processes ${found.join(', ')} could not be killed`);
  return [...killed];
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
