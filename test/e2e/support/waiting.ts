import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_MS = 100;

/** Waits for a condition; what it throws ends the waiting. @throws Error with `describe` where it does not come in time. */
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
