import { assignParts, type Part, pssMebibytes, readProcesses } from './processes.ts';
import type { RequestCounter } from './request-counter.ts';

/** Resources used by a measured piece of work. CPU and memory by part of the system. */
export interface Usage {
  seconds: number;
  cpuSeconds: Record<Part, number>;
  /** The highest sample of each part. */
  peakMebibytes: Record<Part, number>;
  hetznerCalls: number;
}

export interface Meter {
  /** Counts this process's descendants from now on. */
  addRoot(pid: number, part: Part): void;
  measure(work: () => Promise<void>): Promise<Usage>;
}

const SAMPLE_MS = 500;
const PARTS: Part[] = ['service', 'documented', 'database', 'sandbox'];

/**
 * Measures processes from outside, through /proc. A part's CPU time is the sum over its live processes of
 * their own time and that of the children they waited for, so short-lived CLI processes are included.
 */
export function createMeter(counter: RequestCounter): Meter {
  const roots = new Map<number, Part>();
  const cpuSeconds = () => {
    const parts = assignParts(readProcesses(), roots);
    return byPart((part) => sum((parts.get(part) ?? []).map((process) => process.cpuSeconds)));
  };
  const memory = () => {
    const parts = assignParts(readProcesses(), roots);
    return byPart((part) => sum((parts.get(part) ?? []).map(({ pid }) => pssMebibytes(pid))));
  };
  return {
    addRoot: (pid, part) => void roots.set(pid, part),
    measure: async (work) => {
      let peak = memory();
      const sample = () => {
        const now = memory();
        peak = byPart((part) => Math.max(peak[part], now[part]));
      };
      const timer = setInterval(sample, SAMPLE_MS);
      try {
        const calls = await counter.start();
        const before = cpuSeconds();
        const start = performance.now();
        await work();
        const seconds = (performance.now() - start) / 1000;
        const after = cpuSeconds();
        const hetznerCalls = await calls.end();
        sample();
        return {
          seconds,
          hetznerCalls,
          peakMebibytes: peak,
          cpuSeconds: byPart((part) => after[part] - before[part]),
        };
      } finally {
        clearInterval(timer);
      }
    },
  };
}

function byPart(value: (part: Part) => number): Record<Part, number> {
  return Object.fromEntries(PARTS.map((part) => [part, value(part)])) as Record<Part, number>;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
