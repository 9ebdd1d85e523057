/** Asked before each run. */
export type IsDue = () => boolean;

const always: IsDue = () => true;

export interface Repeating {
  /** Begins no further run, and waits for the one under way. */
  stop(): Promise<void>;
}

/**
 * Runs `work` every so many seconds, the first time after the first pause. A run that takes longer than the
 * pause is not joined by a second one. `work` handles its own errors: it knows what they mean.
 * @param isDue whether there is anything to do; without it `work` finds out by itself
 */
export function repeatEvery(seconds: number, work: () => Promise<void>, isDue: IsDue = always): Repeating {
  let underWay: Promise<void> | undefined;
  const timer = setInterval(() => {
    if (underWay === undefined && !isDue()) return;
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
