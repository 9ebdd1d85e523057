import { setTimeout as sleep } from 'node:timers/promises';

/** What takes minutes is looked at less often: a look takes processor time from what it waits for. */
const toPollMs = (withinSeconds: number) => Math.min(400, Math.max(100, withinSeconds * 4));

/**
 * Polls until `probe` returns something other than false or undefined, and returns that; an error that it
 * throws ends the wait. @throws Error with `describe` after the time limit.
 */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  { withinSeconds, describe, pollMs = toPollMs(withinSeconds) }: EventuallyOptions,
): Promise<Exclude<T, false | undefined>> {
  const deadline = Date.now() + withinSeconds * 1000;
  for (;;) {
    const found = await probe();
    if (found !== false && found !== undefined) return found as Exclude<T, false | undefined>;
    if (Date.now() > deadline)
      throw new Error(`Not within ${withinSeconds} s: ${what}\n${describe?.().slice(-4000) ?? ''}`);
    await sleep(pollMs);
  }
}

export interface EventuallyOptions {
  withinSeconds: number;
  /** What the error shows beside `what`. */
  describe?: () => string;
  pollMs?: number;
}
