import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { prepareFollowing } from '../../../src/billing/follow/follower.ts';
import { type BillingFixture, DAY, startBilling } from '../../support/billing-fixture.ts';
import { deliver, paidCheckout } from '../../support/stripe-events.ts';

// Each of them lives through weeks.
vi.setConfig({ testTimeout: 120_000 });

let at: BillingFixture;
beforeAll(async () => {
  at = await startBilling();
});
afterAll(() => at.stop());
beforeEach(() => at.reset());

/** The customer buys another subscription for the same agent. */
async function buyAgain(): Promise<void> {
  at.stripe.subscribe('sub_2', { customer: 'cus_sub_1' });
  const session = { id: 'cs_2', subscription: 'sub_2', customer: 'cus_sub_1' };
  await deliver(at.service.url, paidCheckout({ agentId: 'a1' }, { session }));
  await at.settle();
}

async function endFirst(when: Date): Promise<void> {
  at.stripe.cancel('sub_1', when);
  await at.tell('customer.subscription.deleted', { id: 'sub_1' });
  await at.settle();
}

async function oweSecond(): Promise<void> {
  at.stripe.subscribe('sub_2', { status: 'past_due' });
  at.stripe.owe('sub_2', 'in_2', at.now());
  await at.tell('invoice.payment_failed', { id: 'in_2', subscription: 'sub_2' });
}

async function paySecond(): Promise<void> {
  at.stripe.settle('in_2');
  at.stripe.subscribe('sub_2', { status: 'active' });
  await at.tell('invoice.paid', { id: 'in_2', subscription: 'sub_2' });
  await at.settle();
}

const announced = async () =>
  (await at.deps.database.selectFrom('notices').select(['type', 'key']).orderBy('sequence').execute())
    .filter(({ type }) => /payment_failed|will_suspend|will_delete/.test(type))
    .map(({ type, key }) => `${type} ${key.split(':').slice(0, 2).join(':')}`);

test('one that ended before payments were followed does not shield one that is no longer paid', async () => {
  await sql`insert into installation (mode, accounts) values ('live', '{}')`.execute(at.deps.database);
  at.deps.actsOnPast = false;
  await at.buy('a1', 'sub_1');
  await prepareFollowing(at.deps);
  await endFirst(new Date(at.now().getTime() - DAY));
  await buyAgain();
  await oweSecond();
  await at.pass(15);
  expect(await at.status('a1')).toBe('suspended');
  await paySecond();
  expect(await at.status('a1')).toBe('running');
});

test('one that bills for three agents needs a person until its quantity is one', async () => {
  const items = (quantity: number) => ({
    items: {
      object: 'list',
      data: [{ id: 'si_1', price: { id: 'price_starter', product: 'prod_1' }, quantity }],
      has_more: false,
    },
  });
  await at.buy('a1', 'sub_1', items(3));
  const cause = expect.stringContaining('bills for 3 agents');
  expect(await at.findings()).toMatchObject([{ class: 'mismatch', agent_id: 'a1', cause }]);
  expect(await (await at.service.ask('/api/attention')).json()).toMatchObject({ items: [{ agentId: 'a1' }] });
  at.stripe.subscribe('sub_1', items(1));
  await at.tell('customer.subscription.updated', { id: 'sub_1' });
  await at.settle();
  expect(await at.findings()).toEqual([]);
  expect(await at.status('a1')).toBe('running');
});

test('one that ended long ago announces nothing while another is owed for', async () => {
  await at.buy('a1', 'sub_1');
  await buyAgain();
  await endFirst(at.now());
  await at.pass(60);
  expect(await at.status('a1')).toBe('running');
  await oweSecond();
  await at.pass(14.1);
  expect(await at.status('a1')).toBe('suspended');
  expect(await announced()).toEqual(['agent.payment_failed sub_2:debt', 'agent.will_suspend sub_2:debt']);
  await at.pass(31);
  expect(await at.status('a1')).toBe('destroyed');
});

test('one that Stripe cancelled, and whose last period is then paid, lets the agent run to its end', async () => {
  await at.buy('a1', 'sub_1');
  await buyAgain();
  const end = Math.floor((at.now().getTime() + 25 * DAY) / 1000);
  const items = [
    { id: 'si_1', price: { id: 'price_starter', product: 'prod_1' }, quantity: 1, current_period_end: end },
  ];
  at.stripe.owe('sub_1', 'in_1', at.now());
  at.stripe.subscribe('sub_1', {
    status: 'canceled',
    ended_at: Math.floor(at.now().getTime() / 1000),
    canceled_at: Math.floor(at.now().getTime() / 1000),
    cancellation_details: { reason: 'payment_failed' },
    items: { object: 'list', data: items, has_more: false },
  });
  await at.tell('customer.subscription.deleted', { id: 'sub_1' });
  await oweSecond();
  await at.pass(15);
  expect(await at.status('a1')).toBe('suspended');
  at.stripe.settle('in_1');
  await at.tell('invoice.paid', { id: 'in_1', subscription: 'sub_1' });
  await at.settle();
  expect(await at.status('a1')).toBe('running');
  await at.pass(20);
  expect(await at.status('a1')).toBe('suspended');
});
