import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { poll } from '../../../src/processes/poll.ts';
import { findTagged } from '../../processes.ts';

/** Tags every process of an installation's machines and their network with the installation. */
const TAG = 'AGENT_STACKS_MACHINES';

/** Folders of administrators' programs, which may be missing from PATH. */
const SYSTEM_PATH = ':/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Returns the environment of programs in the machines' network. `path` is the sandbox's original PATH. */
export function taggedEnvironment(tag: string, path: string | undefined): Record<string, string> {
  return { PATH: `${path ?? ''}${SYSTEM_PATH}`, LC_ALL: 'C.UTF-8', [TAG]: tag };
}

/**
 * Starts a program that cannot outlive this process: the kernel kills it, even when this one is killed. Its
 * own process group shields it from a terminal's Ctrl-C.
 */
export function spawnBound(command: readonly string[], options: SpawnOptions): ChildProcess {
  return spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], { ...options, detached: true });
}

/** Returns the name of a machine's root mount, which identifies the machine's own processes. */
export const mountSource = (tag: string, serverId: number | '') => `agent-stacks-${tag}-${serverId}`;

/** Finds all processes with the tag, and all that run on the disk of one of its machines. */
export function findInstallationProcesses(tag: string): number[] {
  const tagged = findTagged(TAG, (value) => value === tag);
  return [...new Set([...tagged, ...findByMount(` ${mountSource(tag, '')}`)])];
}

/** Finds the processes of one machine, which are those that see its root mount. */
export function findMachineProcesses(source: string): number[] {
  return findByMount(` ${source} `);
}

function findByMount(entry: string): number[] {
  return processIds().filter((pid) => pid !== process.pid && read(pid, 'mountinfo').includes(entry));
}

/** Sends a signal to the children of a process's children. */
export function sendToGrandchildren(grandparent: number | undefined, signal: number): void {
  const parents = new Map(processIds().map((pid) => [pid, parentId(pid)]));
  for (const [pid, parent] of parents)
    if (parent !== undefined && parents.get(parent) === grandparent) send(pid, signal);
}

function parentId(pid: number): number | undefined {
  const stat = read(pid, 'stat');
  return stat === '' ? undefined : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

const FREEZE_TIMEOUT_MS = 5000;

/**
 * Pauses the processes that `find` finds while `work` runs, so that nothing they could write changes. Scans
 * repeatedly, since a process may start another while it is paused.
 */
export async function whileFrozen<T>(find: () => number[], work: () => Promise<T>): Promise<T> {
  const frozen = new Set<number>();
  const scan = () => {
    const moving = find().filter((pid) => !isAtRest(pid));
    for (const pid of moving) {
      frozen.add(pid);
      send(pid, constants.signals.SIGSTOP);
    }
    return moving.length === 0 || undefined;
  };
  try {
    if ((await poll(scan, { intervalMs: 5, timeoutMs: FREEZE_TIMEOUT_MS })) === undefined)
      throw new Error('its processes could not be paused');
    return await work();
  } finally {
    for (const pid of frozen) send(pid, constants.signals.SIGCONT);
  }
}

/** Whether a process is paused or has ended. */
function isAtRest(pid: number): boolean {
  const stat = read(pid, 'stat');
  return stat === '' || 'TtZX'.includes(stat[stat.lastIndexOf(')') + 2]!);
}

function processIds(): number[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
}

/** Returns an empty text if the process has ended or belongs to another user. */
function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

function send(pid: number, signal: number): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}
