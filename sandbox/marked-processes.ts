import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Processes that carry a variable in their environment whose value `matches`: the only mark that every descendant
 * keeps, also those that have left their group and session. Linux only; elsewhere none is found.
 */
export function findMarked(variable: string, matches: (value: string) => boolean): number[] {
  return processIds().filter((pid) => {
    const value = pid === process.pid ? undefined : readVariable(pid, variable);
    return value !== undefined && matches(value) && !isZombie(pid);
  });
}

/** Ends them at once and waits until they are gone; looks again, since one may start another while it is ended. */
export async function endMarked(
  variable: string,
  matches: (value: string) => boolean,
  timeoutSeconds = 5,
): Promise<number[]> {
  const ended = new Set<number>();
  const deadline = Date.now() + timeoutSeconds * 1000;
  for (let emptyLooks = 0; ; ) {
    const found = findMarked(variable, matches);
    // One that is just becoming another program shows no environment for a moment: a single look may miss it.
    emptyLooks = found.length === 0 ? emptyLooks + 1 : 0;
    if (emptyLooks === 2) return [...ended];
    if (Date.now() > deadline) throw new Error(`Processes ${found.join(', ')} could not be ended`);
    for (const pid of found) {
      ended.add(pid);
      sendSignal(pid, 'SIGKILL');
    }
    await pause(20);
  }
}

/** Sends a signal to a process; one that is gone is fine. */
export function sendSignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
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

function readVariable(pid: number, variable: string): string | undefined {
  try {
    const entry = readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .find((text) => text.startsWith(`${variable}=`));
    return entry?.slice(variable.length + 1);
  } catch {
    // It has ended, or belongs to somebody else.
    return undefined;
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
