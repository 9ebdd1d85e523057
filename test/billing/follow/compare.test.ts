import { expect, test } from 'vitest';
import {
  type ComparedAgent,
  type ComparedLink,
  compareAll,
  fingerprint,
} from '../../../src/billing/follow/compare.ts';
import type { SubscriptionSummary } from '../../../src/stripe/subscription.ts';

const listed = (...summaries: Partial<SubscriptionSummary>[]) =>
  new Map(
    summaries.map((fields): [string, SubscriptionSummary] => {
      const summary: SubscriptionSummary = {
        subscriptionId: 'sub_1',
        customerId: 'cus_1',
        status: 'active',
        collectionPaused: false,
        cancelAt: null,
        canceledAt: null,
        cancelReason: undefined,
        endedAt: null,
        trialEnd: null,
        periodEnd: new Date('2027-02-01T00:00:00Z'),
        items: [{ priceId: 'price_1', lookupKey: null, productId: 'prod_1', quantity: 1 }],
        metadata: {},
        livemode: false,
        oddities: [],
        ...fields,
      };
      return [summary.subscriptionId, summary];
    }),
  );
const stored = (summary: SubscriptionSummary | undefined): Record<string, unknown> =>
  JSON.parse(JSON.stringify({ ...summary, invoices: [] }));
const link = (fields: Partial<ComparedLink> = {}): ComparedLink => ({
  subscriptionId: 'sub_1',
  agentId: 'a1',
  view: stored(listed({}).get('sub_1')),
  state: 'paid',
  demand: 'run',
  isDue: false,
  stopsLater: false,
  ...fields,
});
const agent = (fields: Partial<ComparedAgent> = {}): ComparedAgent => ({
  agentId: 'a1',
  status: 'running',
  isServerGone: false,
  ...fields,
});
const keys = (result: ReturnType<typeof compareAll>) => result.findings.map(({ key }) => key);

test('an account and a fleet that fit give nothing', () => {
  expect(compareAll(listed({}), [agent()], [link()])).toEqual({ findings: [], changed: [] });
});

test('a subscription that differs from what was read is only a signal', () => {
  const result = compareAll(listed({ status: 'canceled', endedAt: new Date() }), [agent()], [link()]);
  expect(result).toEqual({ findings: [], changed: ['sub_1'] });
  expect(compareAll(listed(), [agent()], [link()])).toEqual({ findings: [], changed: ['sub_1'] });
});

test('what is owed for is read again every night, because lists have no invoices', () => {
  expect(compareAll(listed({}), [], [link({ state: 'past_due' })]).changed).toEqual(['sub_1']);
  expect(compareAll(listed({}), [], [link({ demand: 'suspend' })]).changed).toEqual(['sub_1']);
});

test('an agent of an ended subscription is reported once the day of its suspension is over', () => {
  const ended = listed({ status: 'canceled' });
  const known = link({ view: stored(ended.get('sub_1')), state: 'ended' });
  expect(keys(compareAll(ended, [agent()], [{ ...known, stopsLater: true }]))).toEqual([]);
  expect(keys(compareAll(ended, [agent()], [known]))).toEqual(['a1 without subscription']);
});

test('a billed subscription without an agent is reported, an ended one is not', () => {
  expect(keys(compareAll(listed({}), [], []))).toEqual(['sub_1 without agent']);
  expect(keys(compareAll(listed({ status: 'canceled' }), [], []))).toEqual([]);
});

test('an agent that runs although nobody is billed is reported', () => {
  const gone = link({ view: null, state: 'unknown' });
  expect(keys(compareAll(listed(), [agent()], [gone]))).toEqual(['a1 without subscription']);
  expect(keys(compareAll(listed(), [agent({ status: 'suspended' })], [gone]))).toEqual([]);
  expect(keys(compareAll(listed(), [agent()], [{ ...gone, isDue: true }]))).toEqual([]);
  expect(keys(compareAll(listed(), [agent()], []))).toEqual([]);
});

test('a server that is gone while its subscription is billed is reported', () => {
  expect(keys(compareAll(listed({}), [agent({ isServerGone: true })], [link()]))).toEqual([
    'a1 without server',
  ]);
  expect(keys(compareAll(listed({}), [agent({ status: 'failed' })], [link()]))).toEqual([
    'a1 without server',
  ]);
});

test('a stored view has the fingerprint of the summary it was made from', () => {
  const summary = listed({ cancelAt: new Date('2027-03-01T00:00:00Z') }).get('sub_1')!;
  expect(fingerprint(JSON.parse(JSON.stringify(summary)))).toBe(fingerprint(summary));
  expect(fingerprint({ ...summary, status: 'past_due' })).not.toBe(fingerprint(summary));
});
