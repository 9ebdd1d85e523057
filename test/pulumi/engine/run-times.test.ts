import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { StackTask } from '../../../src/pulumi/engine/messages.ts';
import { RunTimes } from '../../../src/pulumi/engine/run-times.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const tasks = {
  refresh: { verb: 'refresh', stackName: 'agent-a', environment: {} },
  destroy: { verb: 'destroy', stackName: 'agent-a', environment: {} },
} as const;
const up = (stack: 'agent' | 'foundation') =>
  ({ verb: 'up', program: { stack }, mayBeNew: false, stackName: 's', environment: {} }) as StackTask;

test('a run is expected to take as long as the last of its kind', async () => {
  const times = new RunTimes(2_000);
  const run = async (task: StackTask, ms: number) => {
    const running = times.measure(task, () => after(ms));
    const short = times.countShort();
    await vi.advanceTimersByTimeAsync(ms);
    await running;
    return short;
  };
  expect(await run(tasks.refresh, 1_000)).toBe(0);
  expect(await run(tasks.refresh, 30_000)).toBe(1);
  expect(await run(tasks.refresh, 1_000)).toBe(0);
  expect(await run(tasks.destroy, 1_000)).toBe(0);
  expect(await run(up('foundation'), 1_000)).toBe(0);
  expect(await run(up('agent'), 1_000)).toBe(0);
  expect(times.countShort()).toBe(0);
});

test('runs count while they are at work', async () => {
  const times = new RunTimes(2_000);
  await times.measure(tasks.refresh, async () => {});
  const long = times.measure(tasks.destroy, () => after(10_000));
  const short = [500, 1_000].map((ms) => times.measure(tasks.refresh, () => after(ms)));
  expect(times.countShort()).toBe(2);
  await vi.advanceTimersByTimeAsync(500);
  expect(times.countShort()).toBe(1);
  await vi.advanceTimersByTimeAsync(9_500);
  await Promise.all([long, ...short]);
  expect(times.countShort()).toBe(0);
});

test('a failed run changes no expectation', async () => {
  const times = new RunTimes(2_000);
  await times.measure(tasks.refresh, async () => {});
  const failing = times.measure(tasks.refresh, async () => {
    await after(60_000);
    throw new Error('failed');
  });
  failing.catch(() => {});
  await vi.advanceTimersByTimeAsync(60_000);
  await expect(failing).rejects.toThrow('failed');
  const next = times.measure(tasks.refresh, () => after(1));
  expect(times.countShort()).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  await next;
});
