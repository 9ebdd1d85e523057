import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { repeatEvery } from '../../src/processes/repeat.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

test('it runs after every pause, and never twice at once', async () => {
  const { promise: first, resolve: endFirst } = Promise.withResolvers<void>();
  const work = vi.fn(() => Promise.resolve()).mockReturnValueOnce(first);
  const repeating = repeatEvery(10, work);
  expect(work).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(35_000);
  expect(work).toHaveBeenCalledTimes(1);
  endFirst();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(work).toHaveBeenCalledTimes(3);
  await repeating.stop();
});

test('a stop waits for the run under way, and no other begins', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const work = vi.fn(() => promise);
  const repeating = repeatEvery(1, work);
  await vi.advanceTimersByTimeAsync(1_000);
  let stopped = false;
  const stopping = repeating.stop().then(() => {
    stopped = true;
  });
  await vi.advanceTimersByTimeAsync(5_000);
  expect(stopped).toBe(false);
  resolve();
  await stopping;
  expect(work).toHaveBeenCalledTimes(1);
});
