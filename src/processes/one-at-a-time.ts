/** Begins a piece of work. @returns when nothing is left to do */
export type OneAtATime = (work: () => Promise<void>) => Promise<void>;

/**
 * Runs one piece of work at a time. What is asked for meanwhile runs afterwards, once, however often it was
 * asked for: the last one counts. A failure reaches all who wait, and ends what was asked for too.
 */
export function createOneAtATime(): OneAtATime {
  let running: Promise<void> | undefined;
  let next: (() => Promise<void>) | undefined;
  const run = async () => {
    try {
      while (next !== undefined) {
        const work = next;
        next = undefined;
        await work();
      }
    } finally {
      next = undefined;
      running = undefined;
    }
  };
  return (work) => {
    next = work;
    running ??= run();
    return running;
  };
}
