import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_MS = 100;

/**
 * Waits for a condition; an error that it throws ends the wait. @throws Error with `describe` after the time
 * limit.
 */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  { withinSeconds, describe }: { withinSeconds: number; describe?: () => string },
): Promise<void> {
  const deadline = Date.now() + withinSeconds * 1000;
  while (!(await holds())) {
    if (Date.now() > deadline)
      throw new Error(`Not within ${withinSeconds} s: ${what}\n${describe?.().slice(-4000) ?? ''}`);
    await sleep(LOOK_MS);
  }
}
