import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { placeHold } from '../../../src/agents/holds.ts';
import { lockAgent } from '../../../src/agents/store.ts';
import { claimDue } from '../../../src/billing/follow/claims.ts';
import { prepareFollowing } from '../../../src/billing/follow/follower.ts';
import { lookAt } from '../../../src/billing/follow/look.ts';
import { compareNightly, compareNow } from '../../../src/billing/follow/nightly.ts';
import { resolveSignals } from '../../../src/billing/follow/resolve.ts';
import { fetchUndelivered } from '../../../src/billing/follow/undelivered.ts';
import { reportUnreadable } from '../../../src/billing/follow/unreadable.ts';
import { type BillingFixture, DAY, START, startBilling } from '../../support/billing-fixture.ts';
import { deliver, paidCheckout } from '../../support/stripe-events.ts';

// Each of them lives through weeks.
vi.setConfig({ testTimeout: 120_000 });

let at: BillingFixture;
beforeAll(async () => {
  at = await startBilling();
});
afterAll(() => at.stop());
beforeEach(() => at.reset());

const database = () => at.deps.database;
const row = (id: string) =>
  database()
    .selectFrom('subscriptions')
    .selectAll()
    .where('subscription_id', '=', id)
    .executeTakeFirstOrThrow();
const agentJson = async (agentId: string) => (await at.service.ask(`/api/agents/${agentId}`)).json();
/** What was announced to the buyer, and what the operator was told about payments. */
const notices = async () =>
  (await database().selectFrom('notices').select('type').orderBy('sequence').execute())
    .map(({ type }) => type)
    .filter((type) => /payment|will|mismatch/.test(type));

async function buyAndOwe(agentId = 'a1', subscription = 'sub_1'): Promise<void> {
  await at.buy(agentId, subscription);
  at.stripe.subscribe(subscription, { status: 'past_due' });
  at.stripe.owe(subscription, 'in_1', at.now());
  await at.tell('invoice.payment_failed', { id: 'in_1', subscription });
  await at.settle();
}

function pay(subscription = 'sub_1'): void {
  at.stripe.settle('in_1');
  at.stripe.subscribe(subscription, { status: 'active' });
}

test('an agent shows how its subscription stands, and one without a subscription shows nothing', async () => {
  await buyAndOwe();
  const day14 = new Date(START.getTime() + 14 * DAY).toISOString();
  expect(await agentJson('a1')).toMatchObject({
    billing: {
      subscriptionId: 'sub_1',
      state: 'past_due',
      unpaidSince: START.toISOString(),
      suspendAt: day14,
      cancelAt: null,
    },
  });
  await at.service.ask('/api/agents', { json: { agentId: 'a2', userId: 'u', region: 'eu-central' } });
  await at.pass(60);
  expect(await agentJson('a2')).toMatchObject({ billing: null, status: 'running' });
});

test('events that never arrive are made up for by the comparison at night', async () => {
  await at.buy('a1', 'sub_1');
  at.stripe.subscribe('sub_1', { status: 'past_due' });
  at.stripe.owe('sub_1', 'in_1', at.now());
  await at.settle();
  expect(await agentJson('a1')).toMatchObject({ billing: { state: 'paid' } });
  for (let day = 0; day < 16; day += 1) {
    await compareNightly(at.deps);
    await at.pass(1);
  }
  expect(await at.status('a1')).toBe('suspended');
  pay();
  await compareNightly(at.deps);
  await at.settle();
  expect(await at.status('a1')).toBe('running');
  expect(await compareNightly(at.deps)).toBeUndefined();
});

test('after years of invoices too, whoever pays the oldest owes since the second one’s date', async () => {
  await at.buy('a1', 'sub_1');
  for (let month = 30; month > 0; month -= 1) {
    at.stripe.owe('sub_1', `in_before_${month}`, new Date(START.getTime() - month * 30 * DAY));
    at.stripe.settle(`in_before_${month}`);
  }
  at.stripe.subscribe('sub_1', { status: 'past_due' });
  at.stripe.owe('sub_1', 'in_1', at.now());
  await at.tell('invoice.payment_failed', { id: 'in_1', subscription: 'sub_1' });
  await at.pass(31);
  expect(await at.status('a1')).toBe('suspended');
  at.stripe.owe('sub_1', 'in_2', at.now());
  await at.tell('invoice.payment_failed', { id: 'in_2', subscription: 'sub_1' });
  const day31 = at.now().toISOString();
  await at.pass(1);
  at.stripe.settle('in_1');
  await at.tell('invoice.paid', { id: 'in_1', subscription: 'sub_1' });
  await at.settle();
  expect(await agentJson('a1')).toMatchObject({ status: 'running', billing: { unpaidSince: day31 } });
  // The debt of January would have it deleted by now.
  await at.pass(12.9);
  expect(await at.status('a1')).toBe('running');
  await at.pass(0.2);
  expect(await at.status('a1')).toBe('suspended');
});

test('an open invoice that no list of the latest shows any more is owed until it is paid', async () => {
  await at.buy('a1', 'sub_1');
  at.stripe.subscribe('sub_1', { status: 'past_due' });
  at.stripe.owe('sub_1', 'in_1', at.now());
  // Billed every day.
  for (let day = 1; day <= 30; day += 1) {
    at.stripe.owe('sub_1', `in_day_${day}`, new Date(START.getTime() + day * 3_600_000));
    at.stripe.settle(`in_day_${day}`);
  }
  await at.tell('invoice.payment_failed', { id: 'in_1', subscription: 'sub_1' });
  await at.pass(15);
  expect(await agentJson('a1')).toMatchObject({
    status: 'suspended',
    billing: { unpaidSince: START.toISOString() },
  });
  pay();
  await at.tell('invoice.paid', { id: 'in_1', subscription: 'sub_1' });
  await at.settle();
  expect(await at.status('a1')).toBe('running');
});

describe('a kill or a change between the question and the commit', () => {
  test('a claim whose process died expires, and everything is read again', async () => {
    await at.buy('a1', 'sub_1');
    await at.tell('customer.subscription.updated', { id: 'sub_1' });
    const [lost] = await claimDue(database(), at.now(), 1);
    expect(await claimDue(database(), at.now(), 1)).toEqual([]);
    await sql`update subscriptions set claimed_until = now() - interval '1 second'`.execute(database());
    await at.settle();
    expect(await row('sub_1')).toMatchObject({ claimed_until: null });
    // What the dead process may still write is refused.
    at.stripe.cancel('sub_1', at.now());
    expect(await lookAt(at.deps, lost!)).toBe('superseded');
    expect(await row('sub_1')).toMatchObject({ state: 'paid' });
  });

  test('an answer that was overtaken by an event changes nothing', async () => {
    await buyAndOwe();
    await at.pass(13);
    await at.tell('customer.subscription.updated', { id: 'sub_1' });
    const [claimed] = await claimDue(database(), at.now(), 1);
    let overtaken = false;
    at.stripe.beforeAnswer = async (call) => {
      if (overtaken || !call.includes('invoices')) return;
      overtaken = true;
      await at.tell('invoice.paid', { id: 'in_1', subscription: 'sub_1' });
    };
    expect(await lookAt(at.deps, claimed!)).toBe('superseded');
    pay();
    await at.pass(10);
    expect(await at.operations('a1', 'suspend')).toEqual([]);
  });
});

describe('nobody is harmed', () => {
  test('while Stripe cannot be read; a person is told after an hour', async () => {
    await buyAndOwe();
    at.stripe.failsWith = 500;
    await at.pass(20);
    expect(await at.status('a1')).toBe('running');
    expect(await row('sub_1')).toMatchObject({ last_error: expect.stringContaining('Stripe') });
    await reportUnreadable(at.deps);
    expect(await at.findings()).toEqual([]);
    await sql`update subscriptions set error_since = now() - interval '2 hours', retry_at = now()`.execute(
      database(),
    );
    await reportUnreadable(at.deps);
    expect(await at.findings()).toMatchObject([{ class: 'configuration' }]);
    at.stripe.failsWith = undefined;
    await at.settle();
    await reportUnreadable(at.deps);
    expect(await at.findings()).toEqual([]);
  });

  test('because Stripe does not know the subscription', async () => {
    await at.buy('a1', 'sub_1');
    at.stripe.subscriptions.clear();
    await compareNow(at.deps, { graceSeconds: 0 });
    await at.pass(1);
    expect(await at.status('a1')).toBe('running');
    expect(await at.findings()).toContainEqual(
      expect.objectContaining({ class: 'mismatch', cause: expect.stringContaining('does not know') }),
    );
  });

  test('in observe mode, which says what it would do', async () => {
    at.deps.billing = 'observe';
    await buyAndOwe();
    await at.pass(20);
    expect(await at.status('a1')).toBe('running');
    expect(await notices()).toEqual([]);
    expect((await row('sub_1')).would).toEqual([expect.stringContaining('announce agent.will_suspend')]);
    expect(at.service.logged).toContainEqual(
      expect.objectContaining({ event: 'billing.decided', agentId: 'a1', billing: 'observe' }),
    );
  });

  test('for what was unpaid before the installation began, unless it is told to', async () => {
    await sql`insert into installation (mode, accounts) values ('live', '{}')`.execute(database());
    at.deps.actsOnPast = false;
    await at.buy('a1', 'sub_1');
    at.stripe.subscribe('sub_1', { status: 'past_due' });
    at.stripe.owe('sub_1', 'in_1', new Date(START.getTime() - 90 * DAY));
    await prepareFollowing(at.deps);
    await at.tell('invoice.payment_failed', { id: 'in_1', subscription: 'sub_1' });
    await at.pass(60);
    expect(await at.status('a1')).toBe('running');
    expect(await notices()).not.toContain('agent.will_suspend');
    expect(await at.findings()).toMatchObject([{ cause: expect.stringContaining('before this service') }]);
    at.deps.actsOnPast = true;
    await at.tell('invoice.payment_failed', { id: 'in_1', subscription: 'sub_1' });
    await at.pass(3);
    expect(await at.status('a1')).toBe('suspended');
  });
});

test('a payment lifts the payment hold alone', async () => {
  await buyAndOwe();
  await at.pass(15);
  await database()
    .transaction()
    .execute(async (trx) => {
      await lockAgent(trx, 'a1');
      await placeHold(trx, { agentId: 'a1', reason: 'abuse', by: 'operator', at: at.now() });
    });
  pay();
  await at.tell('invoice.paid', { id: 'in_1', subscription: 'sub_1' });
  await at.settle();
  expect(await at.status('a1')).toBe('suspended');
  expect(await agentJson('a1')).toMatchObject({ holds: [{ reason: 'abuse' }], billing: { state: 'paid' } });
});

test('a dispute, which names only its charge, forbids the deletion until it is won', async () => {
  await buyAndOwe();
  const payments = {
    object: 'list',
    data: [{ payment: { type: 'charge', charge: 'ch_1' } }],
    has_more: false,
  };
  const customer = 'cus_sub_1';
  at.stripe.owe('sub_1', 'in_0', new Date(START.getTime() - 30 * DAY), {
    status: 'paid',
    amount_remaining: 0,
    payments,
  });
  at.stripe.charges.push({ id: 'ch_1', object: 'charge', customer, disputed: true });
  at.stripe.disputes.push({ id: 'du_1', object: 'dispute', charge: 'ch_1', status: 'needs_response' });
  await at.tell('charge.dispute.created', { id: 'du_1', charge: 'ch_1' });
  expect(await resolveSignals(at.deps)).toBe(1);
  await at.settle();
  expect(await agentJson('a1')).toMatchObject({ holds: [{ reason: 'dispute' }] });
  await at.pass(50);
  expect(await at.status('a1')).toBe('suspended');
  at.stripe.disputes[0]!.status = 'won';
  await at.tell('charge.dispute.closed', { id: 'du_1', charge: { id: 'ch_1', customer } });
  await at.pass(10);
  expect(await at.status('a1')).toBe('destroyed');
});

test('a dispute forbids the deletion also behind a hundred newer charges of the customer', async () => {
  await buyAndOwe();
  const customer = 'cus_sub_1';
  at.stripe.owe('sub_1', 'in_0', new Date(START.getTime() - 30 * DAY), {
    status: 'paid',
    amount_remaining: 0,
    payments: { object: 'list', data: [{ payment: { payment_intent: 'pi_1' } }], has_more: false },
  });
  const about = { payment_intent: 'pi_1', charge: 'ch_1' };
  at.stripe.charges.push({ id: 'ch_1', object: 'charge', customer, disputed: true, ...about });
  at.stripe.disputes.push({ id: 'du_1', object: 'dispute', status: 'needs_response', ...about });
  for (let n = 0; n < 100; n += 1)
    at.stripe.charges.unshift({ id: `ch_new${n}`, object: 'charge', customer, disputed: false });
  await at.pass(50);
  expect(await at.status('a1')).toBe('suspended');
  expect(await agentJson('a1')).toMatchObject({ holds: [{ reason: 'dispute' }, { reason: 'payment' }] });
});

test('a cancellation at the end of the period that is undone has done nothing', async () => {
  await at.buy('a1', 'sub_1');
  const end = Math.floor((START.getTime() + 20 * DAY) / 1000);
  at.stripe.subscribe('sub_1', { cancel_at: end, canceled_at: Math.floor(START.getTime() / 1000) });
  await at.tell('customer.subscription.updated', { id: 'sub_1' });
  await at.pass(10);
  expect(await agentJson('a1')).toMatchObject({ status: 'running', billing: { state: 'ending' } });
  at.stripe.subscribe('sub_1', { cancel_at: null, canceled_at: null });
  await at.tell('customer.subscription.updated', { id: 'sub_1' });
  await at.pass(40);
  expect(await at.status('a1')).toBe('running');
  expect(await at.operations('a1', 'suspend')).toEqual([]);
});

test('a destroy that a breaker holds is withdrawn by a payment', async () => {
  await buyAndOwe();
  await at.pass(20);
  await sql`update breakers set limit_count = 0 where name = 'destroys'`.execute(database());
  await at.pass(30);
  expect(await at.status('a1')).toBe('suspended');
  const held = () => database().selectFrom('held_changes').select('kind').execute();
  expect(await held()).toEqual([{ kind: 'destroy' }]);
  pay();
  await at.tell('invoice.paid', { id: 'in_1', subscription: 'sub_1' });
  await at.settle();
  expect(await held()).toEqual([]);
  expect(await at.status('a1')).toBe('running');
});

describe('events that could not be delivered', () => {
  test('come in by the same door, once', async () => {
    const event = paidCheckout({ agentId: 'a1' });
    at.stripe.subscribe(String(event.data.object.subscription));
    at.stripe.undelivered.push(event, { id: 'not an event' });
    expect(await fetchUndelivered(at.deps)).toBe(1);
    expect(await fetchUndelivered(at.deps)).toBeUndefined();
    expect(await fetchUndelivered(at.deps, { intervalSeconds: 0 })).toBe(0);
    await at.settle();
    expect(await at.status('a1')).toBe('running');
    // Ten minutes are over by the clock of the business as well.
    await at.pass(1);
    expect(await fetchUndelivered(at.deps)).toBe(0);
  });

  test('are not acted on if they are older than the installation', async () => {
    await sql`insert into installation (mode, accounts) values ('live', '{}')`.execute(database());
    at.deps.actsOnPast = false;
    at.stripe.undelivered.push(paidCheckout({ agentId: 'a1' }, { created: 1_700_000_000 }));
    expect(await fetchUndelivered(at.deps)).toBe(1);
    const stored = await database().selectFrom('stripe_events').select(['outcome', 'reason']).execute();
    expect(stored).toMatchObject([
      { outcome: 'ignored', reason: expect.stringContaining('BILLING_ACT_ON_PAST') },
    ]);
    expect(await database().selectFrom('agents').select('agent_id').execute()).toEqual([]);
  });

  test('are acted on if they are of the second in which the installation began', async () => {
    const began = '2026-01-02T03:04:05.678Z';
    await sql`insert into installation (mode, accounts, created_at)
      values ('live', '{}', ${began}::timestamptz)`.execute(database());
    at.deps.actsOnPast = false;
    const created = Math.floor(Date.parse(began) / 1000);
    at.stripe.undelivered.push(paidCheckout({ agentId: 'a1' }, { created }));
    expect(await fetchUndelivered(at.deps)).toBe(1);
    const stored = await database().selectFrom('stripe_events').select(['outcome', 'reason']).execute();
    expect(stored).toEqual([{ outcome: 'acted', reason: null }]);
  });
});

test('the comparison reports a subscription without an agent until it has one', async () => {
  at.stripe.subscribe('sub_9');
  await compareNow(at.deps, { graceSeconds: 0 });
  const missing = expect.stringContaining('Subscription sub_9 of customer cus_sub_9 is billed, and no agent');
  expect(await at.findings()).toMatchObject([{ class: 'mismatch', cause: missing }]);
  expect(await notices()).toEqual(['fleet.mismatch']);
  await compareNow(at.deps, { graceSeconds: 0 });
  expect(await notices()).toEqual(['fleet.mismatch']);
  await at.buy('a1', 'sub_9');
  expect(await at.findings()).toEqual([]);
});

test('an agent whose suspension a breaker holds back is not deleted while it runs', async () => {
  await sql`update breakers set limit_count = 0 where name = 'suspensions'`.execute(database());
  await buyAndOwe();
  await at.pass(60);
  expect(await at.status('a1')).toBe('running');
  expect(await at.operations('a1', 'destroy')).toEqual([]);
});

test('a renewal that lacks what only a new agent needs keeps the agent, and needs a person', async () => {
  await at.buy('a1', 'sub_1');
  at.stripe.subscribe('sub_2', {});
  const session = { subscription: 'sub_2', customer: 'cus_sub_1' };
  const renewal = paidCheckout({ agentId: 'a1', region: undefined }, { session });
  expect(await deliver(at.service.url, renewal)).toMatchObject({ status: 200 });
  expect(await row('sub_2')).toMatchObject({ agent_id: 'a1' });
  expect(await (await at.service.ask('/api/orders?attention=true')).json()).toMatchObject({
    items: [{ attention: expect.stringContaining('region') }],
  });
  const end = Math.floor(START.getTime() / 1000);
  at.stripe.subscribe('sub_1', { status: 'canceled', ended_at: end, canceled_at: end });
  await at.tell('customer.subscription.deleted', { id: 'sub_1' });
  await at.pass(40);
  expect(await at.status('a1')).toBe('running');
});

test('an event that arrives during the last question before a destroy is read first', async () => {
  await buyAndOwe();
  await at.pass(20);
  at.runbooks.destroy = () => Promise.reject(new Error('must not run'));
  let told = false;
  at.stripe.beforeAnswer = async () => {
    const { rows } = await sql<{ error: string | null }>`
      select error from operations where kind = 'destroy'`.execute(database());
    if (rows.length === 0) return;
    // Stripe's answers are from before the payment until the question has been put off.
    if (rows[0]!.error !== null) pay();
    else if (!told) {
      told = true;
      await at.tell('invoice.paid', { id: 'in_1', subscription: 'sub_1' });
    }
  };
  await at.pass(40);
  expect(told).toBe(true);
  expect(await at.status('a1')).toBe('running');
  expect(await at.operations('a1', 'destroy')).toMatchObject([{ status: 'cancelled' }]);
});
