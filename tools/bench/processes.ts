import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** One process as shown in /proc. */
export interface ProcessInfo {
  pid: number;
  parent: number;
  command: string;
  /** User and system time of the process and of all descendants that ended and were waited for. */
  cpuSeconds: number;
}

/** The part of the system that a measured process belongs to. */
export type Part = 'service' | 'documented' | 'database' | 'sandbox';

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** Lists all processes of this machine, except those that end while it reads. */
export function readProcesses(): ProcessInfo[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)) ?? []);
}

function readProcess(pid: number): ProcessInfo | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses and may itself contain spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
    return {
      pid,
      parent: Number(fields[1]),
      command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '),
      cpuSeconds: ticks / TICKS_PER_SECOND,
    };
  } catch {
    return undefined;
  }
}

/**
 * Assigns the processes below each root to parts. A process belongs to its parent's part unless its own
 * command line says otherwise.
 */
export function assignParts(
  processes: readonly ProcessInfo[],
  roots: ReadonlyMap<number, Part>,
): Map<Part, ProcessInfo[]> {
  const children = Map.groupBy(processes, ({ parent }) => parent);
  const parts = new Map<Part, ProcessInfo[]>();
  const visit = (process: ProcessInfo, inherited: Part) => {
    const part = findPart(process) ?? inherited;
    parts.set(part, [...(parts.get(part) ?? []), process]);
    for (const child of children.get(process.pid) ?? []) visit(child, part);
  };
  for (const process of processes) {
    const root = roots.get(process.pid);
    if (root !== undefined) visit(process, root);
  }
  return parts;
}

function findPart({ command }: ProcessInfo): Part | undefined {
  if (/\/postgres\b.* -D |^postgres: /.test(command)) return 'database';
  if (command.includes('sandbox/main.ts')) return 'sandbox';
  return undefined;
}

/**
 * Proportional set size in MiB, which counts shared memory once among its processes; 0 for an ended process.
 */
export function pssMebibytes(pid: number): number {
  try {
    const kibibytes = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1];
    return Number(kibibytes ?? 0) / 1024;
  } catch {
    return 0;
  }
}
