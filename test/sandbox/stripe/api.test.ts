import Stripe from 'stripe';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  buy,
  createClient,
  orderMetadata,
  payFor,
  type SandboxFixture,
  setup,
  subscriptionSession,
  tokens,
} from '../../support/sandbox.ts';

let sandbox: SandboxFixture;
beforeAll(async () => {
  sandbox = await setup();
});
afterAll(() => sandbox.close());

const sessions = () => sandbox.stripe.checkout.sessions;

test('a session is created open and unpaid, with its page in this sandbox', async () => {
  const session = await sessions().create(subscriptionSession);
  expect(session).toMatchObject({
    object: 'checkout.session',
    mode: 'subscription',
    status: 'open',
    payment_status: 'unpaid',
    livemode: false,
    amount_total: 2500,
    currency: 'eur',
    metadata: orderMetadata,
    url: `${sandbox.url}/checkout/${session.id}`,
  });
  expect(session.id).toMatch(/^cs_test_/);
  expect(await sessions().retrieve(session.id)).toMatchObject({ id: session.id, status: 'open' });
  const items = await sessions().listLineItems(session.id);
  expect(items.data).toMatchObject([{ quantity: 2, amount_total: 2500, price: { unit_amount: 1250 } }]);
});

test('a session can use a stored price and customer, also in payment mode', async () => {
  const product = await sandbox.stripe.products.create({ name: 'One-time' });
  const price = await sandbox.stripe.prices.create({
    currency: 'EUR',
    unit_amount: 500,
    product: product.id,
  });
  const customer = await sandbox.stripe.customers.create({
    email: 'a@example.com',
    metadata: { from: 'test' },
  });
  const paid = await buy(sandbox, {
    mode: 'payment',
    success_url: 'http://127.0.0.1:1/',
    customer: customer.id,
    payment_intent_data: { metadata: { kind: 'once' } },
    line_items: [{ price: price.id, quantity: 1 }],
  });
  expect(paid).toMatchObject({ payment_status: 'paid', customer: customer.id, subscription: null });
  const intent = await sandbox.stripe.paymentIntents.retrieve(String(paid.payment_intent));
  expect(intent).toMatchObject({ status: 'succeeded', amount_received: 500, metadata: { kind: 'once' } });
});

test('paying creates linked customer, subscription and invoice; paying again changes nothing', async () => {
  const paid = await buy(sandbox);
  expect(paid).toMatchObject({ status: 'complete', payment_status: 'paid', url: null });
  const again = await payFor(sandbox, paid.id);
  expect(again).toEqual(paid);

  const found = await sessions().retrieve(paid.id, { expand: ['subscription.latest_invoice', 'customer'] });
  const subscription = found.subscription as Stripe.Subscription;
  expect(subscription).toMatchObject({ status: 'active', metadata: orderMetadata, livemode: false });
  expect(subscription.items.data[0]).toMatchObject({
    quantity: 2,
    plan: { amount: 1250, interval: 'month' },
  });
  const invoice = subscription.latest_invoice as Stripe.Invoice;
  expect(invoice).toMatchObject({ status: 'paid', amount_paid: 2500, amount_remaining: 0 });
  expect(invoice.parent?.subscription_details).toEqual({
    metadata: orderMetadata,
    subscription: subscription.id,
  });
  expect(found.customer).toMatchObject({ object: 'customer', id: invoice.customer });
  const invoices = await sandbox.stripe.invoices.list({ subscription: subscription.id });
  expect(invoices.data.map(({ id }) => id)).toEqual([invoice.id]);
});

test('twenty concurrent payments of one session buy one subscription', async () => {
  const { id } = await sessions().create(subscriptionSession);
  const answers = await Promise.all(Array.from({ length: 20 }, () => payFor(sandbox, id)));
  expect(new Set(answers.map(({ subscription }) => subscription)).size).toBe(1);
  const { data } = await sandbox.stripe.events.list({ type: 'checkout.session.completed', limit: 100 });
  expect(data.filter((event) => (event.data.object as { id?: string }).id === id)).toHaveLength(1);
});

test('a subscription is updated and cancelled; then it can be read but is no longer listed', async () => {
  const { subscription } = await buy(sandbox);
  const id = String(subscription);
  const updated = await sandbox.stripe.subscriptions.update(id, {
    cancel_at_period_end: true,
    metadata: { region: '', note: 'leaves' },
  });
  expect(updated.metadata).toEqual({ agentId: 'agent-1', userId: 'user-1', note: 'leaves' });
  expect(updated.cancel_at).toBe(updated.items.data[0]?.current_period_end);
  const [event] = (await sandbox.stripe.events.list({ type: 'customer.subscription.updated', limit: 1 }))
    .data;
  expect(event?.data.previous_attributes).toMatchObject({ cancel_at_period_end: false, cancel_at: null });

  const listed = async (params: Stripe.SubscriptionListParams = {}) =>
    (await sandbox.stripe.subscriptions.list({ limit: 100, ...params })).data.map((found) => found.id);
  expect(await listed()).toContain(id);
  expect(await sandbox.stripe.subscriptions.cancel(id)).toMatchObject({ id, status: 'canceled' });
  expect(await listed()).not.toContain(id);
  expect(await listed({ status: 'all' })).toContain(id);
  expect(await listed({ status: 'canceled' })).toContain(id);
  expect(await sandbox.stripe.subscriptions.retrieve(id)).toMatchObject({ status: 'canceled' });
  await expect(sandbox.stripe.subscriptions.cancel(id)).rejects.toMatchObject({ code: 'resource_missing' });
});

test('lists go page by page, newest first, in both directions', async () => {
  const made: string[] = [];
  for (const name of ['a', 'b', 'c'])
    made.push((await sandbox.stripe.customers.create({ name, email: 'page@x' })).id);
  const newest = [...made].reverse();
  const first = await sandbox.stripe.customers.list({ email: 'page@x', limit: 2 });
  expect(first).toMatchObject({ has_more: true, url: '/v1/customers' });
  expect(first.data.map(({ id }) => id)).toEqual(newest.slice(0, 2));
  const before = await sandbox.stripe.customers.list({ email: 'page@x', ending_before: newest[2]! });
  expect(before.data.map(({ id }) => id)).toEqual(newest.slice(0, 2));
  const all = await sandbox.stripe.customers
    .list({ email: 'page@x', limit: 1 })
    .autoPagingToArray({ limit: 10 });
  expect(all.map(({ id }) => id)).toEqual(newest);
});

test('events are filtered by type, time and whether they were delivered', async () => {
  await buy(sandbox);
  const { data } = await sandbox.stripe.events.list({
    types: ['invoice.paid', 'customer.subscription.created'],
  });
  expect(new Set(data.map(({ type }) => type))).toEqual(
    new Set(['invoice.paid', 'customer.subscription.created']),
  );
  const [event] = data;
  expect(await sandbox.stripe.events.retrieve(event!.id)).toMatchObject({
    id: event!.id,
    api_version: Stripe.API_VERSION,
    livemode: false,
  });
  const future = Math.floor(Date.now() / 1000) + 100;
  expect((await sandbox.stripe.events.list({ created: { gte: future } })).data).toEqual([]);
  expect((await sandbox.stripe.events.list({ created: { lt: future }, type: 'invoice.*' })).data).not.toEqual(
    [],
  );
});

test('the same POST with the same Idempotency-Key is executed once', async () => {
  const options = { idempotencyKey: 'order-1' };
  const sessionsAtOnce = await Promise.allSettled(
    Array.from({ length: 5 }, () => sessions().create(subscriptionSession, options)),
  );
  const again = await sessions().create(subscriptionSession, options);
  expect(again.lastResponse.headers['idempotent-replayed']).toBe('true');
  for (const result of sessionsAtOnce) {
    if (result.status === 'fulfilled') expect(result.value.id).toBe(again.id);
    else expect(result.reason).toMatchObject({ statusCode: 409, code: 'idempotency_key_in_use' });
  }
  expect(sessionsAtOnce.some(({ status }) => status === 'fulfilled')).toBe(true);
  const other = sessions().create({ ...subscriptionSession, customer_email: 'b@x' }, options);
  await expect(other).rejects.toBeInstanceOf(Stripe.errors.StripeIdempotencyError);
});

test('refuses with errors that the official client recognizes', async () => {
  const wrongKey = createClient(sandbox.url, { key: 'sk_test_other' });
  await expect(wrongKey.customers.list()).rejects.toBeInstanceOf(Stripe.errors.StripeAuthenticationError);
  await expect(sandbox.stripe.subscriptions.retrieve('sub_none')).rejects.toMatchObject({
    type: 'StripeInvalidRequestError',
    statusCode: 404,
    code: 'resource_missing',
    message: "No such subscription: 'sub_none'",
  });
  const { success_url: _left, ...incomplete } = subscriptionSession;
  await expect(sessions().create(incomplete)).rejects.toMatchObject({
    statusCode: 400,
    code: 'parameter_missing',
    param: 'success_url',
  });
  const unknownPrice = { ...subscriptionSession, line_items: [{ price: 'price_none', quantity: 1 }] };
  await expect(sessions().create(unknownPrice)).rejects.toMatchObject({
    statusCode: 400,
    code: 'resource_missing',
    param: 'line_items[0][price]',
  });
  await expect(sandbox.stripe.rawRequest('GET', '/v1/nothing')).rejects.toMatchObject({ statusCode: 404 });
});

test('an expired session can no longer be paid', async () => {
  const { id } = await sessions().create(subscriptionSession);
  expect(await sessions().expire(id)).toMatchObject({ status: 'expired' });
  expect(await payFor(sandbox, id)).toEqual({ error: 'This Checkout Session has expired.' });
  expect(await sessions().retrieve(id)).toMatchObject({ status: 'expired', subscription: null });
});

test('a failed payment makes a subscription past due, and paying the invoice makes it active again', async () => {
  const subscriptionId = String((await buy(sandbox)).subscription);
  const control = (path: string) =>
    fetch(`${sandbox.url}/sandbox/stripe/${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ subscriptionId }),
    });
  expect((await control('invoices/fail')).status).toBe(200);
  const due = await sandbox.stripe.subscriptions.retrieve(subscriptionId, { expand: ['latest_invoice'] });
  expect(due).toMatchObject({
    status: 'past_due',
    latest_invoice: { status: 'open', amount_remaining: 2500 },
  });
  expect((await control('invoices/pay')).status).toBe(200);
  expect(await sandbox.stripe.subscriptions.retrieve(subscriptionId)).toMatchObject({ status: 'active' });
  expect((await control('invoices/pay')).status).toBe(400);
  const { data } = await sandbox.stripe.events.list({ limit: 4 });
  expect(data.map(({ type }) => type)).toEqual([
    'customer.subscription.updated',
    'invoice.paid',
    'customer.subscription.updated',
    'invoice.payment_failed',
  ]);
});

test.each([
  {
    succeeds: true,
    status: 'active',
    payment_status: 'paid',
    type: 'checkout.session.async_payment_succeeded',
  },
  {
    succeeds: false,
    status: 'past_due',
    payment_status: 'unpaid',
    type: 'checkout.session.async_payment_failed',
  },
])('a bank debit completes the session unpaid, and settles later: $type', async (outcome) => {
  const { id } = await sessions().create(subscriptionSession);
  const body = new URLSearchParams({ outcome: 'later' });
  await fetch(`${sandbox.url}/checkout/${id}`, {
    method: 'POST',
    body,
    headers: { Accept: 'application/json' },
  });
  const unpaid = await sessions().retrieve(id, { expand: ['invoice'] });
  expect(unpaid).toMatchObject({ status: 'complete', payment_status: 'unpaid', invoice: { status: 'open' } });

  const settle = () =>
    fetch(`${sandbox.url}/sandbox/stripe/sessions/settle`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ sessionId: id, succeeds: outcome.succeeds }),
    });
  expect((await settle()).status).toBe(200);
  const settled = await sessions().retrieve(id, { expand: ['subscription'] });
  const { status, payment_status, type } = outcome;
  expect(settled).toMatchObject({ payment_status, subscription: { status } });
  expect((await sandbox.stripe.events.list({ type, limit: 1 })).data[0]?.data.object).toMatchObject({ id });
  if (outcome.succeeds) expect((await settle()).status).toBe(400);
});

test('answers only requests with the key, as Bearer or Basic', async () => {
  const basic = `Basic ${Buffer.from(`${tokens.stripeSecretKey}:`).toString('base64')}`;
  expect((await fetch(`${sandbox.url}/v1/customers`, { headers: { Authorization: basic } })).status).toBe(
    200,
  );
  const bare = await fetch(`${sandbox.url}/v1/customers`);
  expect(bare.status).toBe(401);
  expect(await bare.json()).toMatchObject({ error: { type: 'invalid_request_error' } });
});
