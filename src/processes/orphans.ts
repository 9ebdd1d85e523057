import { processIdentity } from './alive.mjs';
import { endProcesses } from './find.ts';

/** Marks every process below a worker: which installation and which worker process it belongs to. */
export const INSTALLATION_MARK = 'AGENT_STACKS_INSTALLATION';
export const WORKER_MARK = 'AGENT_STACKS_WORKER';

/** This process as its children name it: its number and what tells it from a later process of that number. */
export function workerMark(): string {
  return `${process.pid} ${processIdentity(process.pid) ?? ''}`;
}

/**
 * Ends what a killed worker of this installation has left running on this host: the Pulumi CLI, plugins, Ansible and its children.
 * @returns the ids of the ended processes.
 */
export function endSurvivors(installation: string): Promise<number[]> {
  return endProcesses((environment) => {
    const worker = environment.get(WORKER_MARK);
    return (
      environment.get(INSTALLATION_MARK) === installation && worker !== undefined && !isWorkerAlive(worker)
    );
  });
}

/** Whether the process that a mark names still runs. */
export function isWorkerAlive(mark: string): boolean {
  const space = mark.indexOf(' ');
  return processIdentity(Number(mark.slice(0, space))) === mark.slice(space + 1);
}
