import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { compareNow } from '../../src/billing/follow/nightly.ts';
import { fetchUndelivered } from '../../src/billing/follow/undelivered.ts';
import { RetryableError } from '../../src/errors.ts';
import { type BillingFixture, DAY, START, startBilling } from '../support/billing-fixture.ts';
import { deliver, paidCheckout } from '../support/stripe-events.ts';

// Each of them lives through weeks.
vi.setConfig({ testTimeout: 120_000 });

let at: BillingFixture;
beforeAll(async () => {
  at = await startBilling();
});
afterAll(() => at.stop());
beforeEach(() => at.reset());

/** An agent whose renewal fell due at the start and was not paid, suspended by the timetable. */
async function suspended(agentId: string, subscription: string): Promise<void> {
  await at.buy(agentId, subscription);
  fail(subscription, `in_${subscription}`);
  await at.tell('invoice.payment_failed', { id: `in_${subscription}`, subscription });
  await at.pass(15);
  expect(await at.status(agentId)).toBe('suspended');
}

function fail(subscription: string, invoice: string, dueAt = at.now()): void {
  at.stripe.subscribe(subscription, { status: 'past_due' });
  at.stripe.owe(subscription, invoice, dueAt);
}

function pay(subscription: string, invoice: string, fields?: Record<string, unknown>): void {
  at.stripe.settle(invoice, fields);
  at.stripe.subscribe(subscription, { status: 'active' });
}

const paidEvent = (subscription: string) => ({ id: `in_${subscription}`, subscription });

const sent = async (agentId: string) =>
  at.deps.database
    .selectFrom('notices')
    .select(['type', 'key', 'at'])
    .where('agent_id', '=', agentId)
    .where('type', 'in', ['agent.payment_failed', 'agent.will_suspend', 'agent.will_delete'])
    .orderBy('sequence')
    .execute();

test('1: a payment after the suspension brings the agent back by itself', async () => {
  await suspended('a1', 'sub_1');
  pay('sub_1', 'in_sub_1');
  await at.tell('invoice.paid', paidEvent('sub_1'));
  await at.settle();
  expect(await at.status('a1')).toBe('running');
  expect(await (await at.service.ask('/api/agents/a1')).json()).toMatchObject({
    status: 'running',
    billing: { subscriptionId: 'sub_1', state: 'paid', unpaidSince: null, suspendAt: null },
  });
});

test('2: an invoice paid by event, by schedule and by a replay has one effect', async () => {
  await suspended('a1', 'sub_1');
  pay('sub_1', 'in_sub_1');
  const event = { id: 'evt_paid', object: 'event', type: 'invoice.paid', livemode: false };
  at.stripe.undelivered.push({ ...event, created: 1, data: { object: paidEvent('sub_1') } });
  await at.tell('invoice.paid', paidEvent('sub_1'), 'evt_paid');
  expect(await fetchUndelivered(at.deps)).toBe(0);
  await compareNow(at.deps, { graceSeconds: 0 });
  await at.settle();
  await at.tell('invoice.paid', paidEvent('sub_1'), 'evt_paid');
  await at.tell('invoice.paid', paidEvent('sub_1'));
  await at.settle();
  expect(await at.operations('a1', 'resume')).toHaveLength(1);
  expect(await at.status('a1')).toBe('running');
});

test('3: a start that fails leaves the agent suspended, and is tried again until it succeeds', async () => {
  await suspended('a1', 'sub_1');
  pay('sub_1', 'in_sub_1');
  const { resume } = at.runbooks;
  at.runbooks.resume = () => Promise.reject(new RetryableError('Hetzner is away'));
  await at.tell('invoice.paid', paidEvent('sub_1'));
  await at.settle();
  expect(await at.status('a1')).toBe('suspended');
  expect(await at.operations('a1', 'resume')).toMatchObject([{ status: 'failed' }]);
  at.runbooks.resume = resume!;
  await sql`update operations set finished_at = finished_at - interval '1 hour' where kind = 'resume'`.execute(
    at.deps.database,
  );
  await at.tell('customer.subscription.updated', { id: 'sub_1' });
  await at.settle();
  expect(await at.status('a1')).toBe('running');
});

describe('4: a recovery cancels a deletion', () => {
  test('that waits: another subscription is bought for the agent after the first one has ended', async () => {
    await at.buy('a1', 'sub_1');
    at.stripe.cancel('sub_1', at.now());
    await at.tell('customer.subscription.deleted', { id: 'sub_1' });
    await at.pass(2);
    expect(await at.status('a1')).toBe('suspended');
    at.stripe.subscribe('sub_2', { customer: 'cus_sub_1' });
    const again = paidCheckout(
      { agentId: 'a1' },
      { session: { subscription: 'sub_2', customer: 'cus_sub_1' } },
    );
    expect(await deliver(at.service.url, again)).toMatchObject({ status: 200 });
    await at.pass(40);
    expect(await at.status('a1')).toBe('running');
    expect(await at.operations('a1', 'destroy')).toEqual([]);
  });

  test('that was about to begin: Stripe is asked once more, and nothing is removed', async () => {
    await suspended('a1', 'sub_1');
    // The payment arrives after the decision, and before the destroy has removed anything.
    at.runbooks.destroy = () => Promise.reject(new Error('must not run'));
    let isQueued = false;
    at.stripe.beforeAnswer = async () => {
      const [destroy] = await at.operations('a1', 'destroy');
      isQueued = destroy !== undefined;
      if (isQueued) pay('sub_1', 'in_sub_1');
    };
    await at.pass(40);
    expect(isQueued).toBe(true);
    expect(await at.operations('a1', 'destroy')).toMatchObject([{ status: 'cancelled' }]);
    expect(await at.status('a1')).toBe('running');
  });

  test('that nothing undoes: it is announced, asked again, and done', async () => {
    await suspended('a1', 'sub_1');
    await at.pass(40);
    expect(await at.status('a1')).toBe('destroyed');
    const [destroy] = await at.operations('a1', 'destroy');
    const announced = (await sent('a1')).filter(({ type }) => type === 'agent.will_delete');
    expect(announced.length).toBeGreaterThanOrEqual(3);
    expect(announced.every((notice) => notice.at < destroy!.at!)).toBe(true);
  });
});

test('5: every order of the same events ends the same', async () => {
  const events = [
    ['customer.subscription.updated', { id: 'SUB', status: 'active' }],
    ['customer.subscription.deleted', { id: 'SUB', status: 'canceled' }],
    ['invoice.payment_failed', { id: 'in_x', subscription: 'SUB' }],
  ] as const;
  const orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0], [1, 1, 0], [1]];
  for (const [n] of orders.entries()) await at.buy(`a${n}`, `sub_${n}`);
  for (const [n, order] of orders.entries()) {
    at.stripe.cancel(`sub_${n}`, at.now());
    for (const index of order) {
      const [type, object] = events[index]!;
      await at.tell(type, JSON.parse(JSON.stringify(object).replaceAll('SUB', `sub_${n}`)));
      if (n % 2 === 0) await at.settle();
    }
  }
  await at.settle();
  await at.pass(2);
  const ends = await Promise.all(orders.map((_, n) => at.status(`a${n}`)));
  expect(new Set(ends)).toEqual(new Set(['suspended']));
});

test('6: paying the oldest invoice moves the debt, and every suspension follows its own warning', async () => {
  await at.buy('a1', 'sub_1');
  fail('sub_1', 'in_1');
  await at.tell('invoice.payment_failed', { id: 'in_1', subscription: 'sub_1' });
  await at.pass(10);
  fail('sub_1', 'in_2');
  await at.tell('invoice.payment_failed', { id: 'in_2', subscription: 'sub_1' });
  await at.pass(1);
  at.stripe.settle('in_1');
  await at.tell('invoice.paid', { id: 'in_1', subscription: 'sub_1' });
  await at.pass(10);
  expect(await at.status('a1')).toBe('running');
  await at.pass(5);
  expect(await at.status('a1')).toBe('suspended');
  const second = new Date(START.getTime() + 10 * DAY).toISOString();
  const warnings = (await sent('a1')).filter(({ key }) => key.includes(second));
  expect(warnings.map(({ type }) => type)).toContain('agent.will_suspend');
  const [suspend] = await at.operations('a1', 'suspend');
  const warnedAt = warnings.find(({ type }) => type === 'agent.will_suspend')!.at;
  expect(suspend!.at!.getTime() - warnedAt.getTime()).toBeGreaterThanOrEqual(DAY);
});

test('7: an invoice that was voided, credited or paid out of band brings the agent back', async () => {
  const ways = {
    a1: { status: 'void' },
    a2: { status: 'paid', amount_remaining: 0, post_payment_credit_notes_amount: 2900 },
    a3: { status: 'paid', amount_remaining: 0, paid_out_of_band: true },
  };
  for (const agentId of Object.keys(ways)) await at.buy(agentId, `sub_${agentId}`);
  for (const agentId of Object.keys(ways)) {
    fail(`sub_${agentId}`, `in_${agentId}`);
    await at.tell('invoice.payment_failed', { id: `in_${agentId}`, subscription: `sub_${agentId}` });
  }
  await at.pass(15);
  for (const [agentId, fields] of Object.entries(ways)) {
    expect(await at.status(agentId)).toBe('suspended');
    pay(`sub_${agentId}`, `in_${agentId}`, fields);
    await at.tell('invoice.voided', { id: `in_${agentId}`, subscription: `sub_${agentId}` });
  }
  await at.settle();
  for (const agentId of Object.keys(ways)) expect(await at.status(agentId)).toBe('running');
});

test('8: of a customer with two agents, only the unpaid one stops', async () => {
  await at.buy('a1', 'sub_1', { customer: 'cus_1' });
  await at.buy('a2', 'sub_2', { customer: 'cus_1' });
  fail('sub_1', 'in_1');
  await at.tell('invoice.payment_failed', { id: 'in_1', subscription: 'sub_1', customer: 'cus_1' });
  await at.pass(20);
  expect(await at.status('a1')).toBe('suspended');
  expect(await at.status('a2')).toBe('running');
});

test('9: retries neither shorten nor extend the time to pay', async () => {
  await at.buy('a1', 'sub_1');
  fail('sub_1', 'in_1');
  for (let day = 0; day < 13; day += 1) {
    await at.tell('invoice.payment_failed', { id: 'in_1', subscription: 'sub_1', attempt_count: day });
    await at.pass(1);
    expect(await at.status('a1')).toBe('running');
  }
  await at.pass(1);
  expect(await at.status('a1')).toBe('suspended');
});

test('10: an upgrade resizes only after its invoice is paid', async () => {
  const priced = (id: string) => ({
    items: { object: 'list', data: [{ id: 'si_1', price: { id, product: 'prod_1' }, quantity: 1 }] },
  });
  await at.buy('a1', 'sub_1', priced('price_starter'));
  const lines = {
    object: 'list',
    data: [{ amount: 3000, pricing: { price_details: { price: 'price_pro' } } }],
  };
  at.stripe.subscribe('sub_1', priced('price_pro'));
  at.stripe.owe('sub_1', 'in_1', at.now(), { billing_reason: 'subscription_update', lines });
  await at.tell('customer.subscription.updated', { id: 'sub_1' });
  await at.settle();
  expect(await at.operations('a1', 'resize')).toEqual([]);
  at.stripe.settle('in_1');
  await at.tell('invoice.paid', { id: 'in_1', subscription: 'sub_1' });
  await at.settle();
  expect(await at.operations('a1', 'resize')).toMatchObject([{ status: 'succeeded' }]);
  expect(await (await at.service.ask('/api/agents/a1')).json()).toMatchObject({ plan: 'pro' });
});

test('11: cancelling the second of two subscriptions leaves the agent alone and tells the operator', async () => {
  await at.buy('a1', 'sub_1');
  at.stripe.subscribe('sub_2', { customer: 'cus_sub_1' });
  const again = paidCheckout(
    { agentId: 'a1' },
    { session: { subscription: 'sub_2', customer: 'cus_sub_1' } },
  );
  await deliver(at.service.url, again);
  await at.settle();
  const several = expect.stringContaining('Two or more subscriptions are billed for agent a1: sub_1, sub_2');
  expect(await at.findings()).toMatchObject([{ class: 'mismatch', agent_id: 'a1', cause: several }]);
  at.stripe.cancel('sub_2', at.now());
  await at.tell('customer.subscription.deleted', { id: 'sub_2' });
  await at.pass(40);
  expect(await at.status('a1')).toBe('running');
  expect(await at.operations('a1', 'suspend')).toEqual([]);
  expect(await at.findings()).toEqual([]);
});

describe('12: an operator destroys an agent that is paid for', () => {
  test('its subscription is reported until it is cancelled', async () => {
    await at.buy('a1', 'sub_1');
    expect((await at.service.ask('/api/agents/a1/destroy', { method: 'POST' })).status).toBe(202);
    await at.settle();
    expect(await at.status('a1')).toBe('destroyed');
    expect(await at.findings()).toMatchObject([
      { class: 'mismatch', agent_id: 'a1', cause: expect.stringContaining('goes on billing') },
    ]);
    expect(await (await at.service.ask('/api/attention')).json()).toMatchObject({
      items: [{ class: 'mismatch', agentId: 'a1', cure: expect.stringContaining('Cancel the subscription') }],
    });
    expect(at.stripe.calls.filter((call) => call.startsWith('DELETE'))).toEqual([]);
    at.stripe.cancel('sub_1', at.now());
    await at.tell('customer.subscription.deleted', { id: 'sub_1' });
    await at.settle();
    expect(await at.findings()).toEqual([]);
  });

  test('and with BILLING_CANCEL_ON_DESTROY it is cancelled', async () => {
    at.deps.onDestroy = 'cancel';
    await at.buy('a1', 'sub_1');
    await at.service.ask('/api/agents/a1/destroy', { method: 'POST' });
    await at.settle();
    expect(at.stripe.calls.filter((call) => call.startsWith('DELETE'))).toHaveLength(1);
    await at.tell('customer.subscription.deleted', { id: 'sub_1' });
    await at.settle();
    expect(await at.findings()).toEqual([]);
  });
});
