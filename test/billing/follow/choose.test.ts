import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  BILLING_STATES,
  type BillingState,
  DEMANDS,
  type Decision,
  type Demand,
} from '../../../src/billing/decision.ts';
import { chooseGoverning } from '../../../src/billing/follow/choose.ts';

const one = (subscriptionId: string, demand: Demand, state: BillingState) => ({
  subscriptionId,
  isOver: state === 'ended',
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

test('one that is over does not count while another goes on, however mild it is', () => {
  const owing = one('sub_2', 'suspend', 'suspended');
  expect(choose('sub_1', one('sub_1', 'run', 'ended'), owing)).toBe('sub_2');
  expect(choose('sub_2', one('sub_1', 'run', 'ended'), owing)).toBe('sub_2');
  // Stripe has cancelled it, and its debt is still open.
  expect(choose('sub_1', { ...one('sub_1', 'run', 'past_due'), isOver: true }, owing)).toBe('sub_2');
  expect(choose('sub_1', one('sub_1', 'run', 'ended'), one('sub_2', 'suspend', 'ended'))).toBe('sub_1');
});

test('of any number the mildest of those that go on counts', () => {
  const decided = fc.record({
    demand: fc.constantFrom(...DEMANDS),
    state: fc.constantFrom(...BILLING_STATES),
    isOver: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(decided, { minLength: 1, maxLength: 4 }), fc.nat(4), (list, before) => {
      const all = list.map(({ demand, state, isOver }, n) => ({ ...one(`sub_${n}`, demand, state), isOver }));
      const chosen = chooseGoverning(all, `sub_${before}`)!;
      const rivals = all.some(({ isOver }) => !isOver) ? all.filter(({ isOver }) => !isOver) : all;
      const mildest = Math.min(...rivals.map(({ decision }) => DEMANDS.indexOf(decision.demand)));
      expect(rivals).toContain(chosen);
      expect(DEMANDS.indexOf(chosen.decision.demand)).toBe(mildest);
    }),
  );
});
