import { readdirSync, readFileSync } from 'node:fs';
import { INSTALLATION_TAG, isWorkerAlive, WORKER_TAG } from '../../src/processes/orphans.ts';

export const CHILD_KINDS = ['runner', 'cli', 'configure', 'ansible', 'other'] as const;
export type ChildKind = (typeof CHILD_KINDS)[number];

/** A worker's descendant, found by the process tags in its environment. */
export interface Child {
  pid: number;
  kind: ChildKind;
  /** Process id of its worker. */
  worker: number;
  workerAlive: boolean;
  /** `agentId:operation:attempt`, from the process's login to Pulumi's state. */
  attempt: string | undefined;
  command: string;
}

/** Finds all running processes that this installation's workers started on this machine. */
export function findChildren(installation: string): Child[] {
  const children: Child[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const child = readChild(Number(name), installation);
    if (child !== undefined) children.push(child);
  }
  return children;
}

function readChild(pid: number, installation: string): Child | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/environ`, 'utf8');
    // Most processes are others': they are asked about often, and taken apart never.
    if (!text.includes(`${INSTALLATION_TAG}=${installation}`)) return undefined;
    const environment = new Map(
      text.split('\0').map((entry) => {
        const equals = entry.indexOf('=');
        return [entry.slice(0, equals), entry.slice(equals + 1)] as const;
      }),
    );
    const worker = environment.get(WORKER_TAG);
    if (environment.get(INSTALLATION_TAG) !== installation || worker === undefined || isZombie(pid))
      return undefined;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return {
      pid,
      kind: findKind(command),
      worker: Number.parseInt(worker, 10),
      workerAlive: isWorkerAlive(worker),
      attempt: parseAttempt(environment.get('PULUMI_BACKEND_URL')),
      command: command.slice(0, 200),
    };
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

function findKind(command: string): ChildKind {
  if (command.includes('pulumi/engine/child.ts')) return 'runner';
  if (command.includes('ansible-playbook')) return 'ansible';
  if (command.includes('ansible/configur')) return 'configure';
  if (/^\S*\/pulumi |^pulumi /.test(command)) return 'cli';
  return 'other';
}

/** Parses the login `a:<database>:<agentId>:<operation>:<attempt>`. */
function parseAttempt(backendUrl: string | undefined): string | undefined {
  if (backendUrl === undefined || !URL.canParse(backendUrl)) return undefined;
  const login = decodeURIComponent(new URL(backendUrl).username).split(':');
  return login[0] === 'a' ? login.slice(2).join(':') : undefined;
}

function isZombie(pid: number): boolean {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return /^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
}

/** Process ids of a process's direct children. */
export function listChildren(parent: number): { pid: number; command: string }[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const [, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(ppid) !== parent) return [];
      return [
        { pid: Number(name), command: readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ') },
      ];
    } catch {
      return [];
    }
  });
}
