import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { EngineQueue } from '../../../src/pulumi/engine/engine-queue.ts';

/** Two processors, and a patience of two seconds; the test says how many processes are soon free. */
let soonFree: number;
let started: number;
let queue: EngineQueue<string>;

beforeEach(() => {
  vi.useFakeTimers();
  [soonFree, started] = [2, 0];
  const start = () => {
    started += 1;
    return `new ${started}`;
  };
  queue = new EngineQueue({ start, soonFree: () => soonFree }, { processors: 2, patienceMs: 2_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

const take = (signal = new AbortController().signal) => queue.take(signal);

test('while short runs leave a processor, a process is started at once', async () => {
  soonFree = 1;
  expect(await Promise.all([take(), take()])).toEqual(['new 1', 'new 2']);
});

test('no more runs wait than processes are soon free', async () => {
  const waiting = [take(), take()];
  expect(await take()).toBe('new 1');
  queue.give('one');
  queue.give('other');
  expect(await Promise.all(waiting)).toEqual(['one', 'other']);
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

test('once too few short runs are left, each run that waits gets a process of its own', async () => {
  const waiting = [take(), take()];
  soonFree = 1;
  await vi.advanceTimersByTimeAsync(250);
  expect(await Promise.all(waiting)).toEqual(['new 1', 'new 2']);
});

test('a process that cannot be started fails its run and no other', async () => {
  const failing = new EngineQueue<string>(
    {
      start: () => {
        throw new Error('no memory');
      },
      soonFree: () => soonFree,
    },
    { processors: 2, patienceMs: 2_000 },
  );
  const first = failing.take(new AbortController().signal);
  first.catch(() => {});
  await vi.advanceTimersByTimeAsync(1_000);
  const second = failing.take(new AbortController().signal);
  await vi.advanceTimersByTimeAsync(1_000);
  await expect(first).rejects.toThrow('no memory');
  failing.give('one');
  expect(await second).toBe('one');
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
