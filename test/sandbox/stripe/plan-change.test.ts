import type Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Bed, buy, setup } from './setup.ts';

let bed: Bed;
let subscription: Stripe.Subscription;
let pro: Stripe.Price;
beforeAll(async () => {
  bed = await setup();
  const product = await bed.stripe.products.create({ name: 'Agent pro' });
  pro = await price(product.id, { unit_amount: 5000 });
});
afterAll(() => bed.close());
beforeEach(async () => {
  // Two of 12.50 a month.
  subscription = await bed.stripe.subscriptions.retrieve(String((await buy(bed)).subscription));
});

function price(product: string, rest: Partial<Stripe.PriceCreateParams>) {
  const recurring = { interval: 'month' } as const;
  return bed.stripe.prices.create({ currency: 'eur', unit_amount: 1, product, recurring, ...rest });
}

const item = () => subscription.items.data[0]!;
const update = (parameters: Stripe.SubscriptionUpdateParams) =>
  bed.stripe.subscriptions.update(subscription.id, parameters);
const invoiceItems = async () =>
  (await bed.stripe.invoiceItems.list({ customer: String(subscription.customer) })).data;
/** Half of the present period. */
const halfway = () => Math.round((item().current_period_start + item().current_period_end) / 2);

test('a plan change by items changes the subscription, keeps the period, and tells the webhook', async () => {
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
  expect(await bed.stripe.subscriptions.retrieve(subscription.id)).toMatchObject({ items: changed.items });
  const [event] = (await bed.stripe.events.list({ type: 'customer.subscription.updated', limit: 1 })).data;
  expect(event?.data).toMatchObject({
    object: { id: subscription.id, items: { data: [{ price: { id: pro.id } }] } },
    previous_attributes: { items: { data: [{ price: { id: item().price.id }, quantity: 2 }] } },
  });
  expect(await invoiceItems()).toEqual([]);
});

test('prorations wait for the next invoice, to the second, unless they are to be invoiced at once', async () => {
  await update({ items: [{ id: item().id, price: pro.id, quantity: 1 }], proration_date: halfway() });
  const waiting = await invoiceItems();
  expect(waiting.map(({ amount, proration, invoice }) => [amount, proration, invoice])).toEqual([
    [2500, true, null],
    [-1250, true, null],
  ]);
  await fetch(`${bed.url}/sandbox/stripe/invoices/fail`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ subscriptionId: subscription.id }),
  });
  const [next] = (await bed.stripe.invoices.list({ subscription: subscription.id, limit: 1 })).data;
  expect(next).toMatchObject({ amount_due: 5000 + 2500 - 1250, status: 'open' });
  expect(next?.lines.data.map(({ amount }) => amount)).toEqual([-1250, 2500, 5000]);
  expect((await bed.stripe.invoiceItems.list({ pending: true })).data).toEqual([]);
});

test('always_invoice makes and pays an invoice of the prorations at once', async () => {
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

test('a smaller plan leaves a balance, which pays the next invoice', async () => {
  await update({
    items: [{ id: item().id, quantity: 1 }],
    proration_date: halfway(),
    proration_behavior: 'always_invoice',
  });
  const customer = String(subscription.customer);
  expect(await bed.stripe.customers.retrieve(customer)).toMatchObject({ balance: -625 });
  const changed = await update({
    items: [{ id: item().id, quantity: 3 }],
    proration_date: halfway(),
    proration_behavior: 'always_invoice',
    expand: ['latest_invoice'],
  });
  expect(changed.latest_invoice).toMatchObject({ total: 1250, starting_balance: -625, amount_due: 625 });
  expect(await bed.stripe.customers.retrieve(customer)).toMatchObject({ balance: 0 });
});

test('another interval begins a new cycle, billed at once', async () => {
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

test('items are added and deleted, and one must be left', async () => {
  const two = await update({ items: [{ price: pro.id }], proration_behavior: 'none' });
  expect(two.items.data.map((each) => each.price.id)).toEqual([item().price.id, pro.id]);
  const one = await update({ items: [{ id: item().id, deleted: true }], proration_behavior: 'none' });
  expect(one.items.data.map((each) => each.price.id)).toEqual([pro.id]);
  const none = update({ items: [{ id: one.items.data[0]!.id, deleted: true }] });
  await expect(none).rejects.toMatchObject({ statusCode: 400, param: 'items' });
});

test('refuses prices and items that do not fit', async () => {
  const product = String(pro.product);
  const once = await bed.stripe.prices.create({ currency: 'eur', unit_amount: 1, product });
  const dollars = await price(product, { currency: 'usd' });
  const old = await bed.stripe.prices.update((await price(product, {})).id, { active: false });
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
  expect(await bed.stripe.subscriptions.retrieve(subscription.id)).toMatchObject({
    items: subscription.items,
  });
});

test('an end can be set to a moment, and says why', async () => {
  const at = item().current_period_end - 60;
  const changed = await update({
    cancel_at: at,
    cancellation_details: { comment: 'Too dear', feedback: 'too_expensive' },
  });
  expect(changed).toMatchObject({ cancel_at: at, cancellation_details: { comment: 'Too dear' } });
  expect(await update({ cancel_at: '' })).toMatchObject({ cancel_at: null, canceled_at: null });
});
