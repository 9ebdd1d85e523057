import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** Every process of a world carries this, with the world's mark, in its environment. */
export const MARK = 'AGENT_STACKS_MACHINES';

/** Administrators' programs are not on everybody's PATH. */
const systemPath = ':/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What programs of the world are given of the environment of whoever started the sandbox. */
export function worldEnvironment(mark: string, path: string | undefined): Record<string, string> {
  return { PATH: `${path ?? ''}${systemPath}`, LC_ALL: 'C.UTF-8', [MARK]: mark };
}

/**
 * Starts a program that does not outlive this process: the kernel ends it, even when this one is killed. Its own
 * process group keeps a terminal's Ctrl-C away from it.
 */
export function spawnBound(command: readonly string[], options: SpawnOptions): ChildProcess {
  return spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], { ...options, detached: true });
}

/** Whether a process is one of those that are looked for. */
export type Which = (pid: number) => boolean;

/** The name of a machine's root mount, by which the processes of the machine itself are known. */
export const mountSource = (mark: string, serverId: number | '') => `agent-stacks-${mark}-${serverId}`;

/** Every process of a world, and every process that lives on the disk of one of its machines. */
export const ofWorld =
  (mark: string): Which =>
  (pid) =>
    read(pid, 'environ').split('\0').includes(`${MARK}=${mark}`) ||
    read(pid, 'mountinfo').includes(` ${mountSource(mark, '')}`);

/** Every process that sees a mount of this name. */
export const onMount =
  (source: string): Which =>
  (pid) =>
    read(pid, 'mountinfo').includes(` ${source} `);

/**
 * Ends processes at once and waits until they are gone. With them go the namespaces, mounts and interfaces that only
 * they held.
 * @returns how many there were.
 */
export async function endProcesses(which: Which, timeoutMs = 5000): Promise<number> {
  const ended = new Set<number>();
  for (const deadline = Date.now() + timeoutMs; ; ) {
    const found = processIds().filter((pid) => pid !== process.pid && which(pid) && !isZombie(pid));
    if (found.length === 0) return ended.size;
    if (Date.now() > deadline) throw new Error(`Processes ${found.join(', ')} could not be ended`);
    for (const pid of found) {
      ended.add(pid);
      send(pid, 'SIGKILL');
    }
    await pause(20);
  }
}

/** Sends a signal to the children of a process's children. */
export function sendToGrandchildren(grandparent: number | undefined, signal: number): void {
  const parents = new Map(processIds().map((pid) => [pid, parentOf(pid)]));
  for (const [pid, parent] of parents)
    if (parent !== undefined && parents.get(parent) === grandparent) send(pid, signal);
}

function parentOf(pid: number): number | undefined {
  const stat = read(pid, 'stat');
  return stat === '' ? undefined : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

function processIds(): number[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
}

/** Empty for a process that has ended, or belongs to somebody else. */
function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

function isZombie(pid: number): boolean {
  const stat = read(pid, 'stat');
  return stat === '' || stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
}

function send(pid: number, signal: NodeJS.Signals | number): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}
