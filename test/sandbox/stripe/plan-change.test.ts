import type Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { buy, type SandboxFixture, setup } from '../../support/sandbox.ts';

let sandbox: SandboxFixture;
let subscription: Stripe.Subscription;
let pro: Stripe.Price;
beforeAll(async () => {
  sandbox = await setup();
  const product = await sandbox.stripe.products.create({ name: 'Agent pro' });
  pro = await price(product.id, { unit_amount: 5000 });
});
afterAll(() => sandbox.close());
beforeEach(async () => {
  // Two of 12.50 a month.
  subscription = await sandbox.stripe.subscriptions.retrieve(String((await buy(sandbox)).subscription));
});

function price(product: string, rest: Partial<Stripe.PriceCreateParams>) {
  const recurring = { interval: 'month' } as const;
  return sandbox.stripe.prices.create({ currency: 'eur', unit_amount: 1, product, recurring, ...rest });
}

const item = () => subscription.items.data[0]!;
const update = (parameters: Stripe.SubscriptionUpdateParams) =>
  sandbox.stripe.subscriptions.update(subscription.id, parameters);
const invoiceItems = async () =>
  (await sandbox.stripe.invoiceItems.list({ customer: String(subscription.customer) })).data;
/** The middle of the current period. */
const halfway = () => Math.round((item().current_period_start + item().current_period_end) / 2);

test('a plan change by items changes the subscription, keeps the period, and emits an event', async () => {
  const changed = await update({
    items: [{ id: item().id, price: pro.id, quantity: 1 }],
    proration_behavior: 'none',
  });
  expect(changed.items.data).toHaveLength(1);
  expect(changed.items.data[0]).toMatchObject({
    id: item().id,
    price: { id: pro.id, unit_amount: 5000 },
    plan: { id: pro.id, amount: 5000 },
    quantity: 1,
    current_period_end: item().current_period_end,
  });
  expect(await sandbox.stripe.subscriptions.retrieve(subscription.id)).toMatchObject({
    items: changed.items,
  });
  const [event] = (await sandbox.stripe.events.list({ type: 'customer.subscription.updated', limit: 1 }))
    .data;
  expect(event?.data).toMatchObject({
    object: { id: subscription.id, items: { data: [{ price: { id: pro.id } }] } },
    previous_attributes: { items: { data: [{ price: { id: item().price.id }, quantity: 2 }] } },
  });
  expect(await invoiceItems()).toEqual([]);
});

test('prorations are exact to the second and stay pending until the next invoice', async () => {
  await update({ items: [{ id: item().id, price: pro.id, quantity: 1 }], proration_date: halfway() });
  const waiting = await invoiceItems();
  expect(waiting.map(({ amount, proration, invoice }) => [amount, proration, invoice])).toEqual([
    [2500, true, null],
    [-1250, true, null],
  ]);
  await fetch(`${sandbox.url}/sandbox/stripe/invoices/fail`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ subscriptionId: subscription.id }),
  });
  const [next] = (await sandbox.stripe.invoices.list({ subscription: subscription.id, limit: 1 })).data;
  expect(next).toMatchObject({ amount_due: 5000 + 2500 - 1250, status: 'open' });
  expect(next?.lines.data.map(({ amount }) => amount)).toEqual([-1250, 2500, 5000]);
  expect((await sandbox.stripe.invoiceItems.list({ pending: true })).data).toEqual([]);
});

test('always_invoice creates and pays an invoice of the prorations at once', async () => {
  const changed = await update({
    items: [{ id: item().id, price: pro.id, quantity: 1 }],
    proration_date: halfway(),
    proration_behavior: 'always_invoice',
    payment_behavior: 'error_if_incomplete',
    expand: ['latest_invoice'],
  });
  expect(changed.latest_invoice).toMatchObject({
    billing_reason: 'subscription_update',
    status: 'paid',
    total: 1250,
    amount_paid: 1250,
  });
});

test('a smaller plan leaves a balance that pays the next invoice', async () => {
  await update({
    items: [{ id: item().id, quantity: 1 }],
    proration_date: halfway(),
    proration_behavior: 'always_invoice',
  });
  const customer = String(subscription.customer);
  expect(await sandbox.stripe.customers.retrieve(customer)).toMatchObject({ balance: -625 });
  const changed = await update({
    items: [{ id: item().id, quantity: 3 }],
    proration_date: halfway(),
    proration_behavior: 'always_invoice',
    expand: ['latest_invoice'],
  });
  expect(changed.latest_invoice).toMatchObject({ total: 1250, starting_balance: -625, amount_due: 625 });
  expect(await sandbox.stripe.customers.retrieve(customer)).toMatchObject({ balance: 0 });
});

test('another interval starts a new cycle, billed at once', async () => {
  const yearly = await price(String(pro.product), { unit_amount: 50_000, recurring: { interval: 'year' } });
  const changed = await update({
    items: [{ id: item().id, price: yearly.id, quantity: 1 }],
    proration_behavior: 'none',
    expand: ['latest_invoice'],
  });
  const { current_period_start, current_period_end } = changed.items.data[0]!;
  expect(Math.round((current_period_end - current_period_start) / 86_400)).toBeGreaterThanOrEqual(365);
  expect(changed.billing_cycle_anchor).toBe(current_period_start);
  expect(changed.latest_invoice).toMatchObject({ total: 50_000, status: 'paid' });
});

test('items are added and deleted, and one must remain', async () => {
  const two = await update({ items: [{ price: pro.id }], proration_behavior: 'none' });
  expect(two.items.data.map((each) => each.price.id)).toEqual([item().price.id, pro.id]);
  const one = await update({ items: [{ id: item().id, deleted: true }], proration_behavior: 'none' });
  expect(one.items.data.map((each) => each.price.id)).toEqual([pro.id]);
  const none = update({ items: [{ id: one.items.data[0]!.id, deleted: true }] });
  await expect(none).rejects.toMatchObject({ statusCode: 400, param: 'items' });
});

test('refuses prices and items that do not fit', async () => {
  const product = String(pro.product);
  const once = await sandbox.stripe.prices.create({ currency: 'eur', unit_amount: 1, product });
  const dollars = await price(product, { currency: 'usd' });
  const old = await sandbox.stripe.prices.update((await price(product, {})).id, { active: false });
  for (const [wanted, error] of [
    [
      { id: 'si_none', price: pro.id },
      { code: 'resource_missing', param: 'items[0][id]' },
    ],
    [
      { id: item().id, price: 'price_none' },
      { code: 'resource_missing', param: 'items[0][price]' },
    ],
    [{ id: item().id, price: once.id }, { message: expect.stringContaining('type=one_time') }],
    [{ id: item().id, price: dollars.id }, { message: expect.stringContaining('only supports `usd`') }],
    [{ id: item().id, price: old.id }, { message: expect.stringContaining('inactive') }],
  ] as const)
    await expect(update({ items: [wanted] })).rejects.toMatchObject({ statusCode: 400, ...error });
  expect(await sandbox.stripe.subscriptions.retrieve(subscription.id)).toMatchObject({
    items: subscription.items,
  });
});

test('a cancellation can be scheduled, with a reason', async () => {
  const at = item().current_period_end - 60;
  const changed = await update({
    cancel_at: at,
    cancellation_details: { comment: 'Too dear', feedback: 'too_expensive' },
  });
  expect(changed).toMatchObject({ cancel_at: at, cancellation_details: { comment: 'Too dear' } });
  expect(await update({ cancel_at: '' })).toMatchObject({ cancel_at: null, canceled_at: null });
});
