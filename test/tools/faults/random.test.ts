import { expect, test } from 'vitest';
import { drawDecision } from '../../../tools/faults/actions.ts';
import { pickWeighted, randomFrom } from '../../../tools/faults/random.ts';

test('a seed determines the sequence of decisions, and another seed another', () => {
  const decisions = (seed: number) => {
    const random = randomFrom(seed);
    return Array.from({ length: 50 }, () => drawDecision(random));
  };
  expect(decisions(7)).toEqual(decisions(7));
  expect(decisions(7)).not.toEqual(decisions(8));
});

test('numbers are spread over [0, 1), and weights are kept', () => {
  const random = randomFrom(1);
  const numbers = Array.from({ length: 4_000 }, random);
  expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...numbers)).toBeLessThan(1);
  const rare = numbers.filter(
    (number) => pickWeighted([{ weight: 1 }, { weight: 3, often: true }], number).weight === 1,
  );
  expect(rare.length / numbers.length).toBeCloseTo(0.25, 1);
});
