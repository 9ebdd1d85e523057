import { describe, expect, test } from 'vitest';
import { median, quantile, summarize } from '../../../tools/bench/statistics.ts';

describe('statistics of the benchmark', () => {
  test('a median is the middle value, or lies between the two middle ones', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([7])).toBe(7);
  });

  test('values are compared as numbers, and what is handed in stays as it is', () => {
    const values = [10, 9, 100];
    expect(summarize(values)).toEqual({ count: 3, median: 10, min: 9, max: 100 });
    expect(values).toEqual([10, 9, 100]);
  });

  test('quantiles are interpolated between the nearest values', () => {
    const hundredAndOne = Array.from({ length: 101 }, (_, index) => 100 - index);
    expect(quantile(hundredAndOne, 0.95)).toBe(95);
    expect(quantile(hundredAndOne, 0.99)).toBe(99);
    expect(quantile([0, 10], 0.95)).toBeCloseTo(9.5);
    expect(quantile([3, 1, 2], 0)).toBe(1);
    expect(quantile([3, 1, 2], 1)).toBe(3);
  });

  test('no values, or a share that is none, is an error and not a zero', () => {
    expect(() => median([])).toThrow(RangeError);
    expect(() => quantile([1], 95)).toThrow(RangeError);
    expect(() => quantile([1], Number.NaN)).toThrow(RangeError);
  });
});
