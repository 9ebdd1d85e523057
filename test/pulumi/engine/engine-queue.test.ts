import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { EngineQueue } from '../../../src/pulumi/engine/engine-queue.ts';

/** Two processors; the test says how many engine processes have work, and whether one is soon free. */
let busy: number;
let isOneSoonFree: boolean;
let started: number;
let queue: EngineQueue<string>;

beforeEach(() => {
  vi.useFakeTimers();
  [busy, started, isOneSoonFree] = [2, 0, true];
  const start = () => {
    started += 1;
    busy += 1;
    return `new ${started}`;
  };
  queue = new EngineQueue({ start, busy: () => busy, isOneSoonFree: () => isOneSoonFree }, 2);
});
afterEach(() => {
  vi.useRealTimers();
});

const take = (signal = new AbortController().signal) => queue.take(signal);

test('with a processor left, a process is started at once', async () => {
  busy = 1;
  expect(await take()).toBe('new 1');
});

test('nothing waits for long runs', async () => {
  isOneSoonFree = false;
  expect(await Promise.all([take(), take()])).toEqual(['new 1', 'new 2']);
});

test('runs wait for short ones, and take in turn what becomes free', async () => {
  const first = take();
  const second = take();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(started).toBe(0);
  expect(queue.give('one')).toBe(true);
  expect(queue.give('other')).toBe(true);
  expect(queue.give('a third')).toBe(false);
  expect(await Promise.all([first, second])).toEqual(['one', 'other']);
});

test('who comes later does not overtake who waits', async () => {
  const first = take();
  busy = 1;
  const second = take();
  expect(queue.give('one')).toBe(true);
  expect(await first).toBe('one');
  await vi.advanceTimersByTimeAsync(250);
  expect(await second).toBe('new 1');
});

test('once only long runs are left, each run that waits gets a process of its own', async () => {
  const waiting = [take(), take()];
  isOneSoonFree = false;
  await vi.advanceTimersByTimeAsync(250);
  expect(await Promise.all(waiting)).toEqual(['new 1', 'new 2']);
});

test('nothing waits longer than two seconds', async () => {
  const first = take();
  await vi.advanceTimersByTimeAsync(1_000);
  const second = take();
  await vi.advanceTimersByTimeAsync(750);
  expect(started).toBe(0);
  await vi.advanceTimersByTimeAsync(500);
  expect(await first).toBe('new 1');
  expect(started).toBe(1);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await second).toBe('new 2');
});

test('an aborted run takes no process, before its turn, while it waits, and after it has one', async () => {
  const reason = new Error('cancelled');
  await expect(take(AbortSignal.abort(reason))).rejects.toBe(reason);
  const controller = new AbortController();
  const waiting = take(controller.signal);
  const behind = take();
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  queue.give('one');
  expect(await behind).toBe('one');
  const late = new AbortController();
  const given = take(late.signal);
  const last = take();
  queue.give('other');
  late.abort(reason);
  expect(await given).toBe('other');
  queue.give('a third');
  expect(await last).toBe('a third');
});

test('when the pool stops, no run waits any longer and nothing is started', async () => {
  const waiting = take();
  const reason = new Error('stopping');
  queue.refuseAll(reason);
  await expect(waiting).rejects.toBe(reason);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(started).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});
