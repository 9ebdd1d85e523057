import type Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type SandboxFixture, setup } from '../../support/sandbox.ts';
import { advance, control, DAY, eventsOf, nowSeconds } from '../../support/sandbox-clock.ts';
import { failNext, payWith, subscribe } from '../../support/sandbox-stripe.ts';

let sandbox: SandboxFixture;
let subscription: Stripe.Subscription;
beforeAll(async () => {
  sandbox = await setup();
});
afterAll(() => sandbox.close());
beforeEach(async () => {
  expect((await control(sandbox, 'PUT', 'stripe/dunning', {})).status).toBe(200);
  subscription = await subscribe(sandbox);
});

const read = (expand: string[] = []) => sandbox.stripe.subscriptions.retrieve(subscription.id, { expand });
const newestInvoice = async () =>
  (await sandbox.stripe.invoices.list({ subscription: subscription.id, limit: 1 })).data[0]!;

/** Lets the card fail from now on, and moves the clock until the renewal's first attempt has failed. */
async function failRenewal(): Promise<Stripe.Invoice> {
  await payWith(sandbox, subscription, 'pm_card_chargeCustomerFail');
  const end = subscription.items.data[0]!.current_period_end;
  await advance(sandbox, end + 3600 + 60 - (await nowSeconds(sandbox)));
  return newestInvoice();
}

test('a failed renewal is tried eight more times in two weeks, and then the subscription ends', async () => {
  const first = await failRenewal();
  const failedAt = first.created + 3600;
  expect(first).toMatchObject({
    status: 'open',
    attempt_count: 1,
    next_payment_attempt: failedAt + DAY,
    status_transitions: { finalized_at: failedAt },
  });
  expect((await read()).status).toBe('past_due');
  const tries = [first.next_payment_attempt!];
  for (let days = 1; days < 14; days++) {
    await advance(sandbox, DAY);
    const { next_payment_attempt: next } = await sandbox.stripe.invoices.retrieve(first.id!);
    if (next !== null && next !== tries.at(-1)) tries.push(next);
  }
  expect(tries.map((at) => (at - failedAt) / DAY)).toEqual([1, 3, 5, 7, 9, 11, 13, 14]);
  expect((await read()).status).toBe('past_due');
  await advance(sandbox, DAY);
  expect(await read(['latest_invoice'])).toMatchObject({
    status: 'canceled',
    ended_at: failedAt + 14 * DAY,
    cancellation_details: { reason: 'payment_failed' },
    latest_invoice: { status: 'open', attempt_count: 9, next_payment_attempt: null, auto_advance: false },
  });
  const types = await eventsOf(sandbox, subscription.customer, failedAt);
  expect(types.filter((type) => type === 'invoice.payment_failed')).toHaveLength(9);
  expect(types.slice(0, 3)).toEqual([
    'invoice.finalized',
    'invoice.payment_failed',
    'customer.subscription.updated',
  ]);
  expect(types.slice(-2)).toEqual(['invoice.payment_failed', 'customer.subscription.deleted']);
});

test('a card that works again recovers the subscription at the next retry', async () => {
  const failed = await failRenewal();
  await payWith(sandbox, subscription, 'pm_card_visa');
  expect((await read()).status).toBe('past_due');
  await advance(sandbox, DAY);
  expect(await read(['latest_invoice'])).toMatchObject({
    status: 'active',
    latest_invoice: { id: failed.id, status: 'paid', attempt_count: 2 },
  });
});

test('an unpaid subscription goes on with drafts that nobody collects, until its invoice is paid', async () => {
  await control(sandbox, 'PUT', 'stripe/dunning', { retryDays: [1, 2], subscription: 'mark_unpaid' });
  const owed = await failRenewal();
  await advance(sandbox, 3 * DAY);
  expect(await read()).toMatchObject({ status: 'unpaid' });
  await advance(sandbox, 32 * DAY);
  expect(await newestInvoice()).toMatchObject({ status: 'draft', auto_advance: false });
  await payWith(sandbox, subscription, 'pm_card_visa');
  await sandbox.stripe.invoices.pay(owed.id!);
  expect((await read()).status).toBe('active');
});

test('a subscription can stay past due, and its invoice be written off', async () => {
  const settings = { retryDays: [1], subscription: 'leave_past_due', invoice: 'mark_uncollectible' };
  expect(await (await control(sandbox, 'PUT', 'stripe/dunning', settings)).json()).toEqual(settings);
  const owed = await failRenewal();
  await advance(sandbox, 2 * DAY);
  expect((await read()).status).toBe('past_due');
  expect(await sandbox.stripe.invoices.retrieve(owed.id!)).toMatchObject({ status: 'uncollectible' });
  for (const wrong of [{ retryDays: [3, 1] }, { subscription: 'delete' }, { days: 1 }])
    expect((await control(sandbox, 'PUT', 'stripe/dunning', wrong)).status).toBe(400);
});

test('an invoice that a control fails is not paid by a retry, and attempts by request count only once', async () => {
  const { id } = await failNext(sandbox, subscription.id);
  await advance(sandbox, 4 * DAY);
  const retried = await sandbox.stripe.invoices.retrieve(id!);
  expect(retried).toMatchObject({ status: 'open', attempt_count: 3 });
  await payWith(sandbox, subscription, 'pm_card_chargeCustomerFail');
  await expect(sandbox.stripe.invoices.pay(id!)).rejects.toMatchObject({ statusCode: 402 });
  expect(await sandbox.stripe.invoices.retrieve(id!)).toMatchObject({
    attempt_count: 3,
    next_payment_attempt: retried.next_payment_attempt,
  });
  await payWith(sandbox, subscription, 'pm_card_visa');
  await sandbox.stripe.invoices.pay(id!);
  expect((await read()).status).toBe('active');
});
