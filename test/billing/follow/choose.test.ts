import { expect, test } from 'vitest';
import type { BillingState, Decision, Demand } from '../../../src/billing/decision.ts';
import { chooseGoverning } from '../../../src/billing/follow/choose.ts';

const one = (subscriptionId: string, demand: Demand, state: BillingState) => ({
  subscriptionId,
  decision: { demand, state } as Decision,
});
const choose = (before: string | undefined, ...decided: ReturnType<typeof one>[]) =>
  chooseGoverning(decided, before)?.subscriptionId;

test('the mildest demand counts, whatever counted before', () => {
  expect(choose('sub_1', one('sub_1', 'destroy', 'ended'), one('sub_2', 'run', 'paid'))).toBe('sub_2');
  expect(choose('sub_1', one('sub_1', 'hibernate', 'suspended'), one('sub_2', 'suspend', 'suspended'))).toBe(
    'sub_2',
  );
});

test('of equal demands the one that runs on counts, then the one that counted before', () => {
  expect(choose('sub_1', one('sub_1', 'run', 'ending'), one('sub_2', 'run', 'paid'))).toBe('sub_2');
  expect(choose('sub_2', one('sub_1', 'run', 'paid'), one('sub_2', 'run', 'paid'))).toBe('sub_2');
  expect(choose(undefined, one('sub_2', 'run', 'paid'), one('sub_1', 'run', 'paid'))).toBe('sub_1');
  expect(choose(undefined)).toBeUndefined();
});
