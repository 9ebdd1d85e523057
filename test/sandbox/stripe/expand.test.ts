import type Stripe from 'stripe';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buy, type SandboxFixture, setup } from '../../support/sandbox.ts';

let sandbox: SandboxFixture;
let session: Stripe.Checkout.Session;
beforeAll(async () => {
  sandbox = await setup();
  session = await buy(sandbox);
});
afterAll(() => sandbox.close());

test('expands in lists, and within expanded objects', async () => {
  const { data } = await sandbox.stripe.subscriptions.list({
    expand: ['data.customer', 'data.latest_invoice.customer', 'data.items.data.price'],
  });
  expect(data[0]).toMatchObject({
    customer: { object: 'customer', id: session.customer },
    latest_invoice: { object: 'invoice', customer: { object: 'customer' } },
    items: { data: [{ price: { object: 'price', product: expect.any(String) } }] },
  });
  const one = await sandbox.stripe.subscriptions.retrieve(data[0]!.id, {
    expand: ['items.data.price.product'],
  });
  expect(one.items.data[0]?.price.product).toMatchObject({ object: 'product', name: 'Agent' });
  const [invoice] = (
    await sandbox.stripe.invoices.list({ expand: ['data.parent.subscription_details.subscription'] })
  ).data;
  expect(invoice?.parent?.subscription_details?.subscription).toMatchObject({ object: 'subscription' });
});

test('shows some fields of an object only on request', async () => {
  const bare = await sandbox.stripe.checkout.sessions.retrieve(session.id);
  expect(bare).not.toHaveProperty('line_items');
  const full = await sandbox.stripe.checkout.sessions.retrieve(session.id, {
    expand: ['line_items.data.price.product'],
  });
  expect(full.line_items?.data[0]).toMatchObject({ quantity: 2, price: { product: { name: 'Agent' } } });
  const customer = String(session.customer);
  expect(await sandbox.stripe.customers.retrieve(customer)).not.toHaveProperty('subscriptions');
  const withThem = await sandbox.stripe.customers.retrieve(customer, { expand: ['subscriptions'] });
  expect(withThem).toMatchObject({ subscriptions: { object: 'list', data: [{ id: session.subscription }] } });
});

test('null and an empty list can be expanded and stay as they are', async () => {
  const intent = await sandbox.stripe.checkout.sessions.retrieve(session.id, { expand: ['payment_intent'] });
  expect(intent.payment_intent).toBeNull();
  const none = await sandbox.stripe.subscriptions.list({ customer: 'cus_none', expand: ['data.customer'] });
  expect(none.data).toEqual([]);
});

test.each([
  ['subscription.nothing', 'This property cannot be expanded (subscription.nothing).'],
  ['metadata', 'This property cannot be expanded (metadata).'],
  ['id', 'This property cannot be expanded (id).'],
  ['a.b.c.d.e', 'You cannot expand more than 4 levels of a property'],
])('refuses other expansions, as Stripe does: %s', async (path, message) => {
  const refused = sandbox.stripe.checkout.sessions.retrieve(session.id, { expand: [path] });
  await expect(refused).rejects.toMatchObject({
    type: 'StripeInvalidRequestError',
    statusCode: 400,
    message,
  });
});

test('refuses it in lists too, even in empty ones, and suggests the right path', async () => {
  const list = (path: string) => sandbox.stripe.subscriptions.list({ customer: 'cus_none', expand: [path] });
  await expect(list('data.nothing')).rejects.toMatchObject({
    message: 'This property cannot be expanded (data.nothing).',
  });
  await expect(list('customer')).rejects.toMatchObject({
    message:
      "This property cannot be expanded (customer). You may want to try expanding 'data.customer' instead.",
  });
  const changed = sandbox.stripe.customers.update(String(session.customer), {
    name: 'Changed',
    expand: ['nothing'],
  });
  await expect(changed).rejects.toMatchObject({ message: 'This property cannot be expanded (nothing).' });
  expect(await sandbox.stripe.customers.retrieve(String(session.customer))).not.toMatchObject({
    name: 'Changed',
  });
});
