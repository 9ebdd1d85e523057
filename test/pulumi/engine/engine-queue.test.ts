import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { EngineQueue } from '../../../src/pulumi/engine/engine-queue.ts';

/** Two processors; the test says how busy they are and how many engine processes have work. */
let load: number;
let busy: number;
let started: number;
let queue: EngineQueue<string>;

beforeEach(() => {
  vi.useFakeTimers();
  [load, busy, started] = [1, 2, 0];
  const start = () => {
    started += 1;
    busy += 1;
    return `new ${started}`;
  };
  queue = new EngineQueue({ start, busy: () => busy }, { count: 2, load: () => load });
});
afterEach(() => {
  vi.useRealTimers();
});

const take = (signal = new AbortController().signal) => queue.take(signal);

test('with a processor left, a process is started at once', async () => {
  busy = 1;
  expect(await take()).toBe('new 1');
});

test('while the processors are busy, runs wait and take in turn what becomes free', async () => {
  const first = take();
  const second = take();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(started).toBe(0);
  expect(queue.give('one')).toBe(true);
  expect(queue.give('other')).toBe(true);
  expect(queue.give('a third')).toBe(false);
  expect(await Promise.all([first, second])).toEqual(['one', 'other']);
});

test('once a processor is idle, a process is started for the run that has waited longest', async () => {
  const first = take();
  const second = take();
  load = 0.6;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(started).toBe(0);
  load = 0.4;
  await vi.advanceTimersByTimeAsync(250);
  expect(await first).toBe('new 1');
  load = 1;
  await vi.advanceTimersByTimeAsync(500);
  expect(started).toBe(1);
  queue.give('one');
  expect(await second).toBe('one');
});

test('a process that ends leaves its processor to a run that waits', async () => {
  const waiting = take();
  busy = 1;
  await vi.advanceTimersByTimeAsync(250);
  expect(await waiting).toBe('new 1');
});

test('nothing waits longer than two seconds, however busy the processors are', async () => {
  const waiting = take();
  await vi.advanceTimersByTimeAsync(1_500);
  expect(started).toBe(0);
  await vi.advanceTimersByTimeAsync(750);
  expect(await waiting).toBe('new 1');
});

test('an aborted run takes no process, before its turn, while it waits, and after it has one', async () => {
  const reason = new Error('cancelled');
  await expect(take(AbortSignal.abort(reason))).rejects.toBe(reason);
  const controller = new AbortController();
  const waiting = take(controller.signal);
  const behind = take();
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  const late = new AbortController();
  const last = take(late.signal);
  queue.give('one');
  late.abort(reason);
  await expect(last).rejects.toBe(reason);
  expect(await behind).toBe('one');
  expect(queue.give('other')).toBe(false);
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
