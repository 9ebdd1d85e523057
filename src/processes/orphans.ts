import { readFileSync, readlinkSync } from 'node:fs';
import { processIdentity } from './alive.mjs';
import { killProcesses } from './find.ts';

/**
 * Environment variables that tag every process below a worker with its installation and its worker process.
 */
export const INSTALLATION_TAG = 'AGENT_STACKS_INSTALLATION';
export const WORKER_TAG = 'AGENT_STACKS_WORKER';

/**
 * Returns the tag of this process: its pid, what distinguishes it from a later process with that pid, and on
 * Linux the namespace in which the pid counts.
 */
export function workerTag(): string {
  const namespace = ownNamespace();
  const suffix = namespace === undefined ? '' : ` ${namespace}`;
  return `${process.pid} ${processIdentity(process.pid) ?? ''}${suffix}`;
}

/** Such as `pid:[4026531836]`: each container has its own, and no two that live at once have the same one. */
function ownNamespace(): string | undefined {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return undefined;
  }
}

function ownBoot(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return undefined;
  }
}

/**
 * Kills the processes that dead workers of this installation left running on this host: the Pulumi CLI,
 * plugins, Ansible and its children.
 * @returns the ids of the killed processes.
 */
export function killOrphans(installation: string): Promise<number[]> {
  return killProcesses((environment) => {
    const worker = environment.get(WORKER_TAG);
    if (environment.get(INSTALLATION_TAG) !== installation || worker === undefined) return false;
    // A container's processes are seen from its host, where its worker's pid is another process's.
    return !isElsewhere(readTag(worker)) && !isWorkerAlive(worker);
  });
}

/** Whether the process that a worker tag names is running among those that this one sees. */
export function isWorkerAlive(tag: string): boolean {
  const { pid, identity } = readTag(tag);
  return processIdentity(pid) === identity;
}

/**
 * Whether the process that a worker tag names is certainly gone: it would be seen here, and is not. Of one on
 * another machine, in another container, or from before a reboot nothing can be seen, whatever host it names.
 */
export function isWorkerGone(tag: string): boolean {
  const read = readTag(tag);
  const boot = ownBoot();
  const isHere =
    boot === undefined
      ? read.namespace === undefined
      : read.namespace !== undefined && !isElsewhere(read) && read.identity.startsWith(`${boot} `);
  return isHere && processIdentity(read.pid) !== read.identity;
}

interface Tag {
  pid: number;
  identity: string;
  /** Not in the tags of earlier releases. */
  namespace: string | undefined;
}

function readTag(tag: string): Tag {
  const [, pid, identity = '', namespace] = /^(\d+) (.*?)(?: (pid:\[\d+\]))?$/.exec(tag) ?? [];
  return { pid: Number(pid), identity, namespace };
}

const isElsewhere = ({ namespace }: Tag): boolean => namespace !== undefined && namespace !== ownNamespace();
