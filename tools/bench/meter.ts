import { type Part, partsOf, pssMebibytes, readProcesses } from './processes.ts';
import type { RequestCounter } from './request-counter.ts';

/** What a measured piece of work took. CPU and memory by part of the system. */
export interface Usage {
  seconds: number;
  cpuSeconds: Record<Part, number>;
  /** The highest of the samples, each part by itself. */
  peakMebibytes: Record<Part, number>;
  hetznerCalls: number;
}

export interface Meter {
  /** Processes whose descendants are counted from now on. */
  addRoot(pid: number, part: Part): void;
  measure(work: () => Promise<void>): Promise<Usage>;
}

const SAMPLE_MS = 500;
const PARTS: Part[] = ['service', 'documented', 'database', 'sandbox'];

/**
 * Measures processes from outside, by /proc. The CPU time of a part is the sum over its live processes of their own time and of that of
 * the children they have waited for, so that a CLI process that began and ended in between is counted.
 */
export function createMeter(counter: RequestCounter): Meter {
  const roots = new Map<number, Part>();
  const cpuSeconds = () => {
    const parts = partsOf(readProcesses(), roots);
    return byPart((part) => sum((parts.get(part) ?? []).map((process) => process.cpuSeconds)));
  };
  const memory = () => {
    const parts = partsOf(readProcesses(), roots);
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
