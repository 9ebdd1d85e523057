import { cpus } from 'node:os';

/** Returns which share of this machine's processor time was used since the previous call, 0 to 1. */
export function followProcessorLoad(read: () => ProcessorTimes = readTimes): () => number {
  let before = read();
  return () => {
    const now = read();
    const all = now.all - before.all;
    const idle = now.idle - before.idle;
    before = now;
    return all === 0 ? 0 : 1 - idle / all;
  };
}

/** Since the machine's start, in milliseconds, of all processors together. */
export interface ProcessorTimes {
  all: number;
  idle: number;
}

function readTimes(): ProcessorTimes {
  const times = cpus().map(({ times }) => times);
  const sum = (of: (one: (typeof times)[number]) => number) =>
    times.reduce((total, one) => total + of(one), 0);
  return {
    all: sum(({ user, nice, sys, idle, irq }) => user + nice + sys + idle + irq),
    idle: sum(({ idle }) => idle),
  };
}
