import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { ansibleFolder } from './ansible-folder.ts';
import { script } from './started-run.ts';

export interface PreparedProcess {
  process: ChildProcess;
  pid: number;
  socket: string;
  ended: Promise<number | null>;
  /** Closes its standard input, as the end of its parent does. */
  stop(): Promise<number | null>;
}

/** Starts `configure serve`, and waits until it accepts runs. */
export async function startPrepared(scratch: string, configure = script): Promise<PreparedProcess> {
  const env = {
    PATH: process.env.PATH ?? '',
    LC_ALL: 'C.UTF-8',
    AGENT_SCRATCH_DIR: scratch,
    ...(ansibleFolder ? { ANSIBLE_BIN: ansibleFolder } : {}),
  };
  const child = spawn(configure, ['serve'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  const [socket] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return {
    process: child,
    pid: child.pid as number,
    socket,
    ended,
    stop: () => {
      child.stdin.end();
      return ended;
    },
  };
}

/** Whether a process's memory contains this text. */
export function isInMemory(pid: number, text: string): boolean {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    return writableRegions(pid).some(([begin, end]) => {
      const region = Buffer.alloc(end - begin);
      readSync(memory, region, 0, region.length, begin);
      return region.includes(text);
    });
  } finally {
    closeSync(memory);
  }
}

function writableRegions(pid: number): [number, number][] {
  return readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, begin, end] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
      return begin === undefined ? [] : [[Number.parseInt(begin, 16), Number.parseInt(end!, 16)] as const];
    })
    .map(([begin, end]) => [begin, end]);
}

/** The processes whose environment, as the kernel shows it, contains this assignment. */
export function processesWith(assignment: string, pids: readonly number[]): number[] {
  return pids.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(assignment);
    } catch {
      return false;
    }
  });
}
