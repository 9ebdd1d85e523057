import type Stripe from 'stripe';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Bed, buy, setup } from './setup.ts';

let bed: Bed;
let session: Stripe.Checkout.Session;
beforeAll(async () => {
  bed = await setup();
  session = await buy(bed);
});
afterAll(() => bed.close());

test('expands in lists, and through what is expanded already', async () => {
  const { data } = await bed.stripe.subscriptions.list({
    expand: ['data.customer', 'data.latest_invoice.customer', 'data.items.data.price'],
  });
  expect(data[0]).toMatchObject({
    customer: { object: 'customer', id: session.customer },
    latest_invoice: { object: 'invoice', customer: { object: 'customer' } },
    items: { data: [{ price: { object: 'price', product: expect.any(String) } }] },
  });
  const one = await bed.stripe.subscriptions.retrieve(data[0]!.id, { expand: ['items.data.price.product'] });
  expect(one.items.data[0]?.price.product).toMatchObject({ object: 'product', name: 'Agent' });
  const [invoice] = (
    await bed.stripe.invoices.list({ expand: ['data.parent.subscription_details.subscription'] })
  ).data;
  expect(invoice?.parent?.subscription_details?.subscription).toMatchObject({ object: 'subscription' });
});

test('has parts of an object only where they are asked for', async () => {
  const bare = await bed.stripe.checkout.sessions.retrieve(session.id);
  expect(bare).not.toHaveProperty('line_items');
  const full = await bed.stripe.checkout.sessions.retrieve(session.id, {
    expand: ['line_items.data.price.product'],
  });
  expect(full.line_items?.data[0]).toMatchObject({ quantity: 2, price: { product: { name: 'Agent' } } });
  const customer = String(session.customer);
  expect(await bed.stripe.customers.retrieve(customer)).not.toHaveProperty('subscriptions');
  const withThem = await bed.stripe.customers.retrieve(customer, { expand: ['subscriptions'] });
  expect(withThem).toMatchObject({ subscriptions: { object: 'list', data: [{ id: session.subscription }] } });
});

test('what is null, or an empty list, can be expanded and stays what it is', async () => {
  const intent = await bed.stripe.checkout.sessions.retrieve(session.id, { expand: ['payment_intent'] });
  expect(intent.payment_intent).toBeNull();
  const none = await bed.stripe.subscriptions.list({ customer: 'cus_none', expand: ['data.customer'] });
  expect(none.data).toEqual([]);
});

test.each([
  ['subscription.nothing', 'This property cannot be expanded (subscription.nothing).'],
  ['metadata', 'This property cannot be expanded (metadata).'],
  ['id', 'This property cannot be expanded (id).'],
  ['a.b.c.d.e', 'You cannot expand more than 4 levels of a property'],
])('refuses what cannot be expanded, as Stripe does: %s', async (path, message) => {
  const refused = bed.stripe.checkout.sessions.retrieve(session.id, { expand: [path] });
  await expect(refused).rejects.toMatchObject({
    type: 'StripeInvalidRequestError',
    statusCode: 400,
    message,
  });
});

test('says so in lists too, even in empty ones, and gives the path that was meant', async () => {
  const list = (path: string) => bed.stripe.subscriptions.list({ customer: 'cus_none', expand: [path] });
  await expect(list('data.nothing')).rejects.toMatchObject({
    message: 'This property cannot be expanded (data.nothing).',
  });
  await expect(list('customer')).rejects.toMatchObject({
    message:
      "This property cannot be expanded (customer). You may want to try expanding 'data.customer' instead.",
  });
  const changed = bed.stripe.customers.update(String(session.customer), {
    name: 'Changed',
    expand: ['nothing'],
  });
  await expect(changed).rejects.toMatchObject({ message: 'This property cannot be expanded (nothing).' });
  expect(await bed.stripe.customers.retrieve(String(session.customer))).not.toMatchObject({
    name: 'Changed',
  });
});
