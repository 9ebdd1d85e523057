import { expect, test } from 'vitest';
import { readOptions } from '../../../tools/faults/options.ts';

test('without arguments, thirty rounds of the first seed on two workers', () => {
  expect(readOptions([])).toMatchObject({ rounds: 30, seed: 1, workers: 2, pool: 0 });
});

test('names are separated by commas', () => {
  expect(readOptions(['--matrix', '--moments', '5', '--only', 'worker,cli'])).toMatchObject({
    matrix: true,
    moments: 5,
    only: ['worker', 'cli'],
  });
  expect(readOptions(['--operations', 'wake,suspend']).operations).toEqual(['wake', 'suspend']);
  expect(readOptions([]).operations).toContain('provision');
});

test.each([
  [['--rounds', 'many'], '--rounds takes a whole number'],
  [['--seed', '0'], '--seed takes a whole number'],
  [['--year', '--loss', '5%'], '--loss takes a share'],
  [['--operations', 'wake,walk'], '--operations takes some of provision,destroy,suspend'],
  [['--pool', '51'], '--pool takes a whole number from 0 to 50'],
  [['--helpp'], '--helpp'],
  [['stray'], 'stray'],
])('refuses %j with the reason', (args, reason) => {
  expect(() => readOptions(args)).toThrow(reason);
});
