export interface Repeating {
  /** Begins no further run, and waits for the one under way. */
  stop(): Promise<void>;
}

/**
 * Runs `work` every so many seconds, the first time after the first pause. A run that takes longer than the
 * pause is not joined by a second one. `work` handles its own errors: it knows what they mean.
 */
export function repeatEvery(seconds: number, work: () => Promise<void>): Repeating {
  let underWay: Promise<void> | undefined;
  const timer = setInterval(() => {
    underWay ??= work().finally(() => {
      underWay = undefined;
    });
  }, seconds * 1000);
  return {
    stop: async () => {
      clearInterval(timer);
      await underWay;
    },
  };
}
