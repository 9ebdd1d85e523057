import { expect, test } from 'vitest';
import { followProcessorLoad } from '../../src/processes/processor-load.ts';

test('the load is the share that was used since the previous call', () => {
  const times = [
    { all: 10_000, idle: 9_000 },
    { all: 10_500, idle: 9_500 },
    { all: 11_000, idle: 9_600 },
    { all: 11_000, idle: 9_600 },
  ];
  const load = followProcessorLoad(() => times.shift()!);
  expect(load()).toBe(0);
  expect(load()).toBeCloseTo(0.8);
  expect(load()).toBe(0);
});

test('a process that computes is seen', () => {
  const load = followProcessorLoad();
  const end = performance.now() + 300;
  while (performance.now() < end) JSON.stringify(process.versions);
  expect(load()).toBeGreaterThan(0);
  expect(load()).toBeLessThanOrEqual(1);
});
