import { expect, onTestFinished, test, vi } from 'vitest';
import { type FollowOptions, followClock } from '../../src/processes/followed-clock.ts';

const HOUR_MS = 3_600_000;

/** Follows a clock that is `ahead.ms` ahead, or silent while that is undefined. */
function follow(ahead: { ms: number | undefined }, options: Partial<FollowOptions> = {}) {
  const clock = followClock({
    readOffsetMs: async () => {
      if (ahead.ms === undefined) throw new Error('silent');
      return ahead.ms;
    },
    intervalMs: 5,
    ...options,
  });
  onTestFinished(() => clock.stop());
  return clock;
}

test('it follows a move by itself, and at once when asked', async () => {
  const ahead = { ms: 0 };
  const moved = vi.fn();
  const own = follow(ahead, { moved });
  ahead.ms = HOUR_MS;
  await expect.poll(() => own.now().getTime() - Date.now()).toBeGreaterThanOrEqual(HOUR_MS - 1000);
  expect(moved).toHaveBeenCalledTimes(1);
  const asked = follow(ahead, { intervalMs: HOUR_MS });
  ahead.ms = 2 * HOUR_MS;
  expect(await asked.refresh()).toBe(true);
  expect(asked.now().getTime() - Date.now()).toBeGreaterThanOrEqual(2 * HOUR_MS - 1000);
});

test('it never goes back, and keeps its distance while the other is silent', async () => {
  const ahead: { ms: number | undefined } = { ms: HOUR_MS };
  const failed = vi.fn();
  const clock = follow(ahead, { intervalMs: HOUR_MS, failed });
  await clock.refresh();
  const before = clock.now();
  ahead.ms = undefined;
  expect([await clock.refresh(), await clock.refresh()]).toEqual([false, false]);
  expect(failed).toHaveBeenCalledTimes(1);
  expect(clock.now().getTime()).toBeGreaterThanOrEqual(before.getTime());
  ahead.ms = 0;
  await clock.refresh();
  expect(clock.now().getTime()).toBeGreaterThanOrEqual(before.getTime());
});
