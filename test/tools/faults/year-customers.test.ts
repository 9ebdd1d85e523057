import { expect, test } from 'vitest';
import { randomFrom } from '../../../tools/faults/random.ts';
import {
  type Customer,
  drawStory,
  shuffle,
  takeDue,
  troubleADay,
} from '../../../tools/faults/year-customers.ts';

const DAY = 24 * 3_600_000;
const START = Date.UTC(2027, 0, 1);

function drawStories(seed: number) {
  const random = randomFrom(seed);
  return Array.from({ length: 500 }, () => drawStory(random, START, START + 20 * DAY));
}

test('a seed draws the same stories again, and all kinds of them', () => {
  const stories = drawStories(1);
  expect(drawStories(1)).toEqual(stories);
  expect(drawStories(2)).not.toEqual(stories);
  const acts = new Set(stories.flat().map(({ act }) => act));
  // Only the operator's answer to a deleted agent belongs to no story.
  expect(acts.size).toBe(17);
  for (const steps of stories) {
    expect(steps[0]?.at).toBe(START);
    expect(steps.map(({ at }) => at)).toEqual(steps.map(({ at }) => at).toSorted((a, b) => a - b));
  }
});

test('steps are taken when they are due, in their order', () => {
  const steps = [3, 1, 2].map((days) => ({ at: START + days * DAY, act: 'refund' as const }));
  const customer: Customer = {
    agentId: 'a1',
    subscriptionId: 'sub_1',
    steps,
    paidUpSince: null,
    isGone: false,
  };
  expect(takeDue(customer, START + 2 * DAY).map(({ at }) => at)).toEqual([START + DAY, START + 2 * DAY]);
  expect(customer.steps.map(({ at }) => at)).toEqual([START + 3 * DAY]);
});

test('a few of a hundred have trouble in a month, with few customers more of them', () => {
  expect(30 * troubleADay(200)).toBeCloseTo(0.09);
  expect(troubleADay(6)).toBeGreaterThan(troubleADay(40));
});

test('a shuffled list has the same members', () => {
  expect(shuffle([1, 2, 3, 4], randomFrom(3)).toSorted()).toEqual([1, 2, 3, 4]);
});
