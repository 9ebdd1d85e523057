import type Stripe from 'stripe';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { buy, type SandboxFixture, setup, subscriptionSession } from '../../support/sandbox.ts';
import { advance, control, DAY, eventTypes, readClock } from '../../support/sandbox-clock.ts';

let sandbox: SandboxFixture;
beforeEach(async () => {
  sandbox = await setup();
});
afterEach(() => sandbox.close());

const read = (id: unknown, expand: string[] = []) =>
  sandbox.stripe.subscriptions.retrieve(String(id), { expand });
const invoicesOf = async (subscription: unknown) =>
  (await sandbox.stripe.invoices.list({ subscription: String(subscription), limit: 100 })).data;
const period = (subscription: Stripe.Subscription) => subscription.items.data[0]!;

test('the clock moves forward only, within its bounds, and survives a restart', async () => {
  const before = Date.now();
  expect(await readClock(sandbox)).toMatchObject({ offsetSeconds: 0, targetSeconds: null });
  const moved = await advance(sandbox, 40 * DAY);
  expect(moved).toMatchObject({ offsetSeconds: 40 * DAY, targetSeconds: null });
  expect(Date.parse(moved.now)).toBeGreaterThanOrEqual(before + 40 * DAY * 1000);
  for (const advanceSeconds of [0, -1, 1.5, 367 * DAY, 'x'])
    expect((await control(sandbox, 'POST', 'clock', { advanceSeconds })).status).toBe(400);
  await sandbox.restart();
  const { created } = await sandbox.stripe.customers.create({ name: 'later' });
  expect(created * 1000).toBeGreaterThanOrEqual(before + 40 * DAY * 1000 - 1000);
  expect(await readClock(sandbox)).toMatchObject({ offsetSeconds: 40 * DAY });
});

test('moves that are asked for at once add up', async () => {
  await Promise.all([advance(sandbox, DAY), advance(sandbox, 2 * DAY), advance(sandbox, 3 * DAY)]);
  expect(await readClock(sandbox)).toMatchObject({ offsetSeconds: 6 * DAY, targetSeconds: null });
});

test('a period ends with a draft, which is finalized and paid an hour later', async () => {
  const { subscription: id } = await buy(sandbox);
  const first = await read(id);
  const untilEnd = period(first).current_period_end - Math.floor(Date.now() / 1000);
  await advance(sandbox, untilEnd + 60);
  const renewed = await read(id, ['latest_invoice']);
  expect(renewed.status).toBe('active');
  expect(period(renewed).current_period_start).toBe(period(first).current_period_end);
  const draft = renewed.latest_invoice as Stripe.Invoice;
  expect(draft).toMatchObject({
    status: 'draft',
    billing_reason: 'subscription_cycle',
    created: period(first).current_period_end,
    automatically_finalizes_at: period(first).current_period_end + 3600,
    amount_due: 2500,
    attempted: false,
    number: null,
    period_start: period(first).current_period_start,
    period_end: period(first).current_period_end,
  });
  expect(draft.lines.data[0]?.period).toEqual({
    start: period(renewed).current_period_start,
    end: period(renewed).current_period_end,
  });

  await advance(sandbox, 3600);
  expect(await sandbox.stripe.invoices.retrieve(draft.id!)).toMatchObject({
    status: 'paid',
    attempt_count: 1,
    automatically_finalizes_at: null,
    status_transitions: { finalized_at: draft.created + 3600, paid_at: draft.created + 3600 },
  });
  expect(await eventTypes(sandbox, draft.created)).toEqual([
    'invoice.created',
    'customer.subscription.updated',
    'invoice.finalized',
    'invoice.payment_succeeded',
    'invoice.paid',
  ]);
});

test('a jump of half a year renews month by month, each at its own time', async () => {
  const { subscription: id } = await buy(sandbox);
  await advance(sandbox, 184 * DAY);
  const invoices = await invoicesOf(id);
  expect(invoices.map(({ status }) => status)).toEqual(Array.from({ length: 7 }, () => 'paid'));
  const starts = invoices.map(({ lines }) => lines.data[0]!.period.start);
  const ends = invoices.map(({ lines }) => lines.data[0]!.period.end);
  expect(starts.slice(0, -1)).toEqual(ends.slice(1));
  expect(invoices.slice(0, -1).map(({ created }) => created)).toEqual(starts.slice(0, -1));
});

test('a cancellation at the end of the period takes effect then, without an invoice', async () => {
  const { subscription: id } = await buy(sandbox);
  const { cancel_at, canceled_at } = await sandbox.stripe.subscriptions.update(String(id), {
    cancel_at_period_end: true,
  });
  await advance(sandbox, 32 * DAY);
  expect(await read(id)).toMatchObject({
    status: 'canceled',
    ended_at: cancel_at,
    canceled_at,
    cancellation_details: { reason: 'cancellation_requested' },
  });
  expect(await invoicesOf(id)).toHaveLength(1);
  expect(await eventTypes(sandbox, cancel_at!)).toEqual(['customer.subscription.deleted']);
});

test('a cancellation at a time takes effect at that time, and one that is undone does not', async () => {
  const at = Math.floor(Date.now() / 1000) + 10 * DAY;
  const [kept, canceled] = [await buy(sandbox), await buy(sandbox)];
  for (const { subscription } of [kept, canceled])
    await sandbox.stripe.subscriptions.update(String(subscription), { cancel_at: at });
  await sandbox.stripe.subscriptions.update(String(kept.subscription), { cancel_at: '' });
  await advance(sandbox, 11 * DAY);
  expect(await read(canceled.subscription)).toMatchObject({ status: 'canceled', ended_at: at });
  expect(await read(kept.subscription)).toMatchObject({ status: 'active' });
});

test('a trial from the checkout is announced, ends, and is billed', async () => {
  const { subscription: id, ...session } = await buy(sandbox, {
    ...subscriptionSession,
    subscription_data: { trial_period_days: 10 },
  });
  expect(session).toMatchObject({ payment_status: 'no_payment_required', amount_total: 0 });
  const trial = await read(id, ['latest_invoice']);
  expect(trial).toMatchObject({ status: 'trialing', latest_invoice: { status: 'paid', amount_due: 0 } });
  expect(period(trial).current_period_end).toBe(trial.trial_end);
  await advance(sandbox, 8 * DAY);
  expect(await eventTypes(sandbox, trial.trial_end! - 3 * DAY)).toEqual([
    'customer.subscription.trial_will_end',
  ]);
  expect((await read(id)).status).toBe('trialing');
  await advance(sandbox, 3 * DAY);
  expect(await read(id, ['latest_invoice'])).toMatchObject({
    status: 'active',
    latest_invoice: { status: 'paid', amount_due: 2500 },
  });
});

test('a subscription whose first payment fails is incomplete, and expires after 23 hours', async () => {
  const { id: customer } = await sandbox.stripe.customers.create({ name: 'Ann' });
  await control(sandbox, 'POST', 'stripe/customers/charges', { customerId: customer, fail: true });
  const items = [{ price_data: await monthly(1000) }];
  const refused = sandbox.stripe.subscriptions.create({
    customer,
    items,
    payment_behavior: 'error_if_incomplete',
  });
  await expect(refused).rejects.toMatchObject({ statusCode: 402, type: 'StripeCardError' });
  const [one, other] = [
    await sandbox.stripe.subscriptions.create({ customer, items }),
    await sandbox.stripe.subscriptions.create({ customer, items }),
  ];
  expect(one).toMatchObject({ status: 'incomplete' });
  expect(await sandbox.stripe.invoices.pay(String(other.latest_invoice))).toMatchObject({ status: 'paid' });
  expect(await read(other.id)).toMatchObject({ status: 'active' });
  await advance(sandbox, DAY);
  expect(await read(one.id, ['latest_invoice'])).toMatchObject({
    status: 'incomplete_expired',
    ended_at: one.created + 23 * 3600,
    latest_invoice: { status: 'void' },
  });
  expect(await eventTypes(sandbox, one.created + 23 * 3600)).toEqual([
    'customer.subscription.updated',
    'invoice.voided',
  ]);
});

test('paused collection keeps drafts, and resumes by itself', async () => {
  const { subscription: id } = await buy(sandbox);
  const resumes_at = Math.floor(Date.now() / 1000) + 45 * DAY;
  await sandbox.stripe.subscriptions.update(String(id), {
    pause_collection: { behavior: 'keep_as_draft', resumes_at },
  });
  await advance(sandbox, 40 * DAY);
  expect((await invoicesOf(id))[0]).toMatchObject({ status: 'draft', auto_advance: false });
  await advance(sandbox, 6 * DAY);
  expect(await read(id)).toMatchObject({ pause_collection: null });
  await advance(sandbox, 30 * DAY);
  expect((await invoicesOf(id))[0]).toMatchObject({ status: 'paid' });
});

test('an open checkout session expires after a day', async () => {
  const { id } = await sandbox.stripe.checkout.sessions.create(subscriptionSession);
  await advance(sandbox, DAY + 60);
  expect(await sandbox.stripe.checkout.sessions.retrieve(id)).toMatchObject({ status: 'expired' });
});

async function monthly(unit_amount: number): Promise<Stripe.SubscriptionCreateParams.Item.PriceData> {
  const { id: product } = await sandbox.stripe.products.create({ name: 'Agent' });
  return { currency: 'eur', unit_amount, product, recurring: { interval: 'month' } };
}
