import { setTimeout as pause } from 'node:timers/promises';
import { findProcesses, signal } from '../src/processes/find.ts';

const SCAN_INTERVAL_MS = 20;

/**
 * Finds processes that have `variable` in their environment with a value that `matches`. Every descendant
 * inherits such a tag, even those that have left their group and session. Linux only; elsewhere it finds
 * nothing.
 */
export function findTagged(variable: string, matches: (value: string) => boolean): number[] {
  return findProcesses((environment) => {
    const value = environment.get(variable);
    return value !== undefined && matches(value);
  });
}

/** Kills tagged processes as `killFound` does. @returns the ids of the killed ones. */
export function killTagged(variable: string, matches: (value: string) => boolean): Promise<number[]> {
  return killFound(() => findTagged(variable, matches));
}

/**
 * Kills the processes that `find` finds and waits until they are gone, and with them the namespaces, mounts
 * and interfaces that only they held. Scans repeatedly, since a process may start another while it is killed.
 * @returns the ids of the killed ones.
 */
export async function killFound(find: () => number[], timeoutMs = 5000): Promise<number[]> {
  const killed = new Set<number>();
  const deadline = Date.now() + timeoutMs;
  for (let emptyScans = 0; ; ) {
    const found = find();
    // A process in the middle of an exec shows no environment for a moment, so one scan may miss it.
    emptyScans = found.length === 0 ? emptyScans + 1 : 0;
    if (emptyScans === 2) return [...killed];
    if (Date.now() > deadline) throw new Error(`Processes ${found.join(', ')} could not be killed`);
    for (const pid of found) {
      killed.add(pid);
      signal(pid, 'SIGKILL');
    }
    await pause(SCAN_INTERVAL_MS);
  }
}
