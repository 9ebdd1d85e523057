import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RunTimes } from '../../../src/pulumi/engine/run-times.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

test('a run is expected to take as long as the last of its kind', async () => {
  const times = new RunTimes();
  const run = async (verb: 'up' | 'destroy', ms: number) => {
    const running = times.measure(verb, () => after(ms));
    const isShort = times.isOneShort();
    await vi.advanceTimersByTimeAsync(ms);
    await running;
    return isShort;
  };
  expect(await run('up', 1_000)).toBe(false);
  expect(await run('up', 30_000)).toBe(true);
  expect(await run('up', 1_000)).toBe(false);
  expect(await run('destroy', 1_000)).toBe(false);
  expect(times.isOneShort()).toBe(false);
});

test('one short run among long ones is enough, until it ends', async () => {
  const times = new RunTimes();
  await times.measure('unlock', async () => {});
  const long = times.measure('up', () => after(10_000));
  const short = times.measure('unlock', () => after(1_000));
  expect(times.isOneShort()).toBe(true);
  await vi.advanceTimersByTimeAsync(1_000);
  await short;
  expect(times.isOneShort()).toBe(false);
  await vi.advanceTimersByTimeAsync(9_000);
  await long;
});

test('a failed run changes no expectation', async () => {
  const times = new RunTimes();
  await times.measure('up', async () => {});
  const failing = times.measure('up', async () => {
    await after(60_000);
    throw new Error('failed');
  });
  failing.catch(() => {});
  await vi.advanceTimersByTimeAsync(60_000);
  await expect(failing).rejects.toThrow('failed');
  const next = times.measure('up', () => after(1));
  expect(times.isOneShort()).toBe(true);
  await vi.advanceTimersByTimeAsync(1);
  await next;
});
