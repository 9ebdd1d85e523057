import type Stripe from 'stripe';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buy, type SandboxFixture, setup, subscriptionSession, until } from '../../support/sandbox.ts';
import { advance, control, DAY, eventsOf, nowSeconds, readClock } from '../../support/sandbox-clock.ts';

let sandbox: SandboxFixture;
beforeAll(async () => {
  sandbox = await setup();
});
afterAll(() => sandbox.close());

const read = (id: unknown, expand: string[] = []) =>
  sandbox.stripe.subscriptions.retrieve(String(id), { expand });
const invoicesOf = async (subscription: unknown) =>
  (await sandbox.stripe.invoices.list({ subscription: String(subscription), limit: 100 })).data;
const period = (subscription: Stripe.Subscription) => subscription.items.data[0]!;

test('the clock moves forward only, within its bounds, and survives a restart', async () => {
  const { offsetSeconds } = await readClock(sandbox);
  const before = Date.now() + offsetSeconds * 1000;
  const moved = await advance(sandbox, 40 * DAY);
  expect(moved).toMatchObject({ offsetSeconds: offsetSeconds + 40 * DAY, targetSeconds: null });
  expect(Date.parse(moved.now)).toBeGreaterThanOrEqual(before + 40 * DAY * 1000);
  for (const advanceSeconds of [0, -1, 1.5, 367 * DAY, 'x'])
    expect((await control(sandbox, 'POST', 'clock', { advanceSeconds })).status).toBe(400);
  await sandbox.restart();
  const { created } = await sandbox.stripe.customers.create({ name: 'later' });
  expect(created * 1000).toBeGreaterThanOrEqual(before + 40 * DAY * 1000 - 1000);
  expect(await readClock(sandbox)).toMatchObject({ offsetSeconds: offsetSeconds + 40 * DAY });
});

test('moves that are asked for at once add up', async () => {
  const { offsetSeconds } = await readClock(sandbox);
  await Promise.all([advance(sandbox, DAY), advance(sandbox, 2 * DAY), advance(sandbox, 3 * DAY)]);
  expect(await readClock(sandbox)).toMatchObject({
    offsetSeconds: offsetSeconds + 6 * DAY,
    targetSeconds: null,
  });
});

test('a period ends with a draft, which is finalized and paid an hour later', async () => {
  const { subscription: id } = await buy(sandbox);
  const first = await read(id);
  const untilEnd = period(first).current_period_end - (await nowSeconds(sandbox));
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
  expect(await eventsOf(sandbox, renewed.customer, draft.created)).toEqual([
    'invoice.created',
    'customer.subscription.updated',
    'invoice.finalized',
    'invoice.paid',
    'invoice.payment_succeeded',
  ]);
});

test('a jump of a hundred days renews month by month, each at its own time', async () => {
  const { subscription: id } = await buy(sandbox);
  await advance(sandbox, 100 * DAY);
  const invoices = await invoicesOf(id);
  expect(invoices.map(({ status }) => status)).toEqual(Array.from({ length: 4 }, () => 'paid'));
  const starts = invoices.map(({ lines }) => lines.data[0]!.period.start);
  const ends = invoices.map(({ lines }) => lines.data[0]!.period.end);
  expect(starts.slice(0, -1)).toEqual(ends.slice(1));
  expect(invoices.slice(0, -1).map(({ created }) => created)).toEqual(starts.slice(0, -1));
});

test('a cancellation at the end of the period takes effect then, without an invoice', async () => {
  const { subscription: id } = await buy(sandbox);
  const { cancel_at, canceled_at, customer } = await sandbox.stripe.subscriptions.update(String(id), {
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
  expect(await eventsOf(sandbox, customer, cancel_at!)).toEqual(['customer.subscription.deleted']);
});

test('a cancellation at a time takes effect at that time, and one that is undone does not', async () => {
  const at = (await nowSeconds(sandbox)) + 10 * DAY;
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
  expect(await eventsOf(sandbox, trial.customer, trial.trial_end! - 3 * DAY)).toEqual([
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
  const { id: customer } = await sandbox.stripe.customers.create({
    payment_method: 'pm_card_visa',
    name: 'Ann',
  });
  const { data } = await sandbox.stripe.paymentMethods.list({ customer });
  const failing = await sandbox.stripe.paymentMethods.attach('pm_card_chargeCustomerFail', { customer });
  const items = [{ price_data: await monthly(1000) }];
  const create = (rest: Partial<Stripe.SubscriptionCreateParams>) =>
    sandbox.stripe.subscriptions.create({ customer, items, default_payment_method: failing.id, ...rest });
  await expect(create({ payment_behavior: 'error_if_incomplete' })).rejects.toMatchObject({
    statusCode: 402,
    type: 'StripeCardError',
  });
  const working = await create({ default_payment_method: data[0]!.id });
  expect(working).toMatchObject({ status: 'active' });
  const [one, other] = [await create({}), await create({ payment_behavior: 'default_incomplete' })];
  expect([one.status, other.status]).toEqual(['incomplete', 'incomplete']);
  const pay = { payment_method: data[0]!.id };
  expect(await sandbox.stripe.invoices.pay(String(other.latest_invoice), pay)).toMatchObject({
    status: 'paid',
  });
  expect(await read(other.id)).toMatchObject({ status: 'active' });
  await advance(sandbox, DAY);
  expect(await read(one.id, ['latest_invoice'])).toMatchObject({
    status: 'incomplete_expired',
    ended_at: one.created + 23 * 3600,
    latest_invoice: { status: 'void' },
  });
  expect(await eventsOf(sandbox, customer, one.created + 23 * 3600)).toEqual([
    'customer.subscription.updated',
    'invoice.voided',
  ]);
});

test('a cycle that is anchored on the 31st keeps that day through shorter months', async () => {
  const frozen_time = Date.UTC(2027, 0, 31, 12) / 1000;
  const clock = await sandbox.stripe.testHelpers.testClocks.create({ frozen_time });
  const { id: customer } = await sandbox.stripe.customers.create({
    test_clock: clock.id,
    payment_method: 'pm_card_visa',
  });
  const [card] = (await sandbox.stripe.paymentMethods.list({ customer })).data;
  const { id } = await sandbox.stripe.subscriptions.create({
    customer,
    items: [{ price_data: await monthly(1000) }],
    default_payment_method: card!.id,
  });
  const ends = [period(await read(id)).current_period_end];
  await sandbox.stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: ends[0]! + DAY });
  await until(async () => {
    const { status } = await sandbox.stripe.testHelpers.testClocks.retrieve(clock.id);
    return status === 'ready';
  });
  ends.push(period(await read(id)).current_period_end);
  expect(ends).toEqual([Date.UTC(2027, 1, 28, 12) / 1000, Date.UTC(2027, 2, 31, 12) / 1000]);
});

test('paused collection keeps drafts, and resumes by itself', async () => {
  const { subscription: id } = await buy(sandbox);
  const resumes_at = (await nowSeconds(sandbox)) + 45 * DAY;
  await sandbox.stripe.subscriptions.update(String(id), {
    pause_collection: { behavior: 'keep_as_draft', resumes_at },
  });
  await advance(sandbox, 32 * DAY);
  expect((await invoicesOf(id))[0]).toMatchObject({ status: 'draft', auto_advance: false });
  await advance(sandbox, 14 * DAY);
  expect(await read(id)).toMatchObject({ pause_collection: null });
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
