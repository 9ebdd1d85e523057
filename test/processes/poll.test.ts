import { expect, test } from 'vitest';
import { poll } from '../../src/processes/poll.ts';

/** Returns the values in turn, then the last one again, and counts the calls. */
function answers<T>(...values: T[]) {
  let asked = 0;
  const ask = () => values[Math.min(asked++, values.length - 1)];
  return { ask, count: () => asked };
}

test('polls until there is an answer', async () => {
  const { ask, count } = answers(undefined, undefined, false);
  expect(await poll(ask, { intervalMs: 1 })).toBe(false);
  expect(count()).toBe(3);
});

test('polls at least once, and for the last time when its time has passed', async () => {
  const { ask, count } = answers(undefined);
  expect(await poll(ask, { intervalMs: 10, timeoutMs: 0 })).toBeUndefined();
  expect(count()).toBe(1);
  expect(await poll(answers('now').ask, { intervalMs: 10, timeoutMs: 0 })).toBe('now');
});

test('backs off up to the longest interval', async () => {
  const times: number[] = [];
  const ask = () => void times.push(Date.now());
  await poll(ask, { intervalMs: 20, longestIntervalMs: 80, timeoutMs: 350 });
  const pauses = times.slice(1).map((time, index) => time - times[index]!);
  expect(pauses[0]).toBeGreaterThanOrEqual(19);
  expect(pauses[1]).toBeGreaterThanOrEqual(39);
  // The last pause is cut at the end of the time.
  for (const pause of pauses.slice(2, -1)) expect(pause).toBeGreaterThanOrEqual(79);
});

test('asks once more at the end of its time, and no more often than it may', async () => {
  const late = answers(undefined, 'late');
  expect(await poll(late.ask, { intervalMs: 60_000, timeoutMs: 20 })).toBe('late');
  const limited = answers(undefined);
  expect(await poll(limited.ask, { intervalMs: 1, maxPolls: 3 })).toBeUndefined();
  expect(limited.count()).toBe(3);
});

test('ends with the signal’s reason, during a pause and before the first poll', async () => {
  const controller = new AbortController();
  const { ask, count } = answers(undefined);
  const polling = poll(ask, { intervalMs: 60_000, signal: controller.signal });
  controller.abort(new Error('the lease ran out'));
  await expect(polling).rejects.toThrow('the lease ran out');
  await expect(poll(ask, { intervalMs: 1, signal: controller.signal })).rejects.toThrow('the lease ran out');
  expect(count()).toBe(1);
});

test('rethrows errors of the probe', async () => {
  const ask = () => {
    throw new Error('gone');
  };
  await expect(poll(ask, { intervalMs: 1 })).rejects.toThrow('gone');
});
