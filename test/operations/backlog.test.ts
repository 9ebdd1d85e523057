import { expect, test } from 'vitest';
import { Backlog } from '../../src/operations/backlog.ts';

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

test('keeps entries within the limits unchanged', () => {
  const backlog = new Backlog<number>(10, () => true);
  for (const number of numbers(0, 10)) backlog.push(number);
  expect(backlog.take()).toEqual({ leftOut: 0, items: numbers(0, 10) });
  expect(backlog.isEmpty).toBe(true);
  expect(backlog.take()).toEqual({ leftOut: 0, items: [] });
});

test('keeps the newest entries of a flood, and all that must not be dropped, in order', () => {
  const backlog = new Backlog<number>(10, (number) => number % 1_000 !== 0);
  for (const number of numbers(0, 100_001)) backlog.push(number);
  const { leftOut, items } = backlog.take();
  expect(items.filter((number) => number % 1_000 === 0)).toEqual(
    numbers(0, 101).map((number) => number * 1_000),
  );
  expect(items.filter((number) => number % 1_000 !== 0)).toEqual(numbers(99_990, 100_000));
  expect(items).toEqual(items.toSorted((one, other) => one - other));
  expect(leftOut).toBe(100_001 - 101 - 10);
});
