import { processIdentity } from './alive.mjs';
import { killProcesses } from './find.ts';

/**
 * Environment variables that tag every process below a worker with its installation and its worker process.
 */
export const INSTALLATION_TAG = 'AGENT_STACKS_INSTALLATION';
export const WORKER_TAG = 'AGENT_STACKS_WORKER';

/** Returns the tag of this process: its pid, and what distinguishes it from a later process with that pid. */
export function workerTag(): string {
  return `${process.pid} ${processIdentity(process.pid) ?? ''}`;
}

/**
 * Kills the processes that dead workers of this installation left running on this host: the Pulumi CLI,
 * plugins, Ansible and its children.
 * @returns the ids of the killed processes.
 */
export function killOrphans(installation: string): Promise<number[]> {
  return killProcesses((environment) => {
    const worker = environment.get(WORKER_TAG);
    return (
      environment.get(INSTALLATION_TAG) === installation && worker !== undefined && !isWorkerAlive(worker)
    );
  });
}

/** Whether the process that a worker tag names is still running. */
export function isWorkerAlive(tag: string): boolean {
  const space = tag.indexOf(' ');
  return processIdentity(Number(tag.slice(0, space))) === tag.slice(space + 1);
}
