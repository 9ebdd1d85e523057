import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { Secret } from '../../src/secret.ts';
import { STRIPE_API_VERSION } from '../../src/stripe/stripe.ts';
import { listSubscriptions, readSubscription } from '../../src/stripe/subscription.ts';

type Json = Record<string, unknown>;
const list = (data: unknown[], more = false) => ({ object: 'list', url: '/v1/x', has_more: more, data });
const missing = {
  error: { type: 'invalid_request_error', code: 'resource_missing', message: 'No such thing' },
};

/** Answers as Stripe would, by path; what is not there is missing. Says what was asked. */
async function startStripe(answers: Record<string, unknown>) {
  const asked: string[] = [];
  const versions = new Set<unknown>();
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://stripe');
    asked.push(decodeURIComponent(`${url.pathname}${url.search}`));
    versions.add(request.headers['stripe-version']);
    const found = Object.entries(answers).find(([path]) =>
      decodeURIComponent(request.url ?? '').startsWith(path),
    );
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(found?.[1] ?? missing));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const account = { secretKey: new Secret('sk_test_x'), apiUrl: `http://127.0.0.1:${port}` };
  return { account, asked, versions };
}

const T = 1_800_000_000;
const date = (seconds: number) => new Date(seconds * 1000);
const subscription = (changes: Json = {}): Json => ({
  object: 'subscription',
  id: 'sub_1',
  customer: 'cus_1',
  status: 'active',
  livemode: true,
  metadata: { agentId: 'a1' },
  cancel_at: null,
  cancel_at_period_end: false,
  canceled_at: null,
  cancellation_details: { reason: null },
  ended_at: null,
  pause_collection: null,
  trial_end: null,
  items: list([
    {
      id: 'si_1',
      price: { id: 'price_1', lookup_key: 'starter_monthly', product: 'prod_1' },
      quantity: 1,
      current_period_end: T + 100,
    },
  ]),
  ...changes,
});
const invoice = (changes: Json = {}): Json => ({
  object: 'invoice',
  id: 'in_1',
  status: 'open',
  created: T,
  due_date: null,
  status_transitions: { finalized_at: T + 10 },
  amount_due: 1000,
  amount_remaining: 600,
  attempted: true,
  billing_reason: 'subscription_cycle',
  period_end: T,
  lines: list([
    { amount: -500, pricing: { price_details: { price: 'price_old' } } },
    { amount: 1000, pricing: { price_details: { price: 'price_1' } } },
  ]),
  payments: list([{ payment: { type: 'payment_intent', payment_intent: 'pi_1' } }]),
  ...changes,
});

test('reads a subscription with its invoices, with the pinned version of the API', async () => {
  const { account, asked, versions } = await startStripe({
    '/v1/subscriptions/sub_1': subscription(),
    '/v1/invoices?': list([
      invoice(),
      invoice({ id: 'in_2', created: T + 50, status: 'paid', amount_remaining: 0, hosted_invoice_url: 'x' }),
    ]),
    '/v1/charges?': list([{ id: 'ch_1', payment_intent: 'pi_1', disputed: false }]),
  });
  const read = await readSubscription(account, 'sub_1');
  expect(read).toMatchObject({
    subscriptionId: 'sub_1',
    customerId: 'cus_1',
    status: 'active',
    collectionPaused: false,
    periodEnd: date(T + 100),
    items: [{ priceId: 'price_1', lookupKey: 'starter_monthly', productId: 'prod_1', quantity: 1 }],
    metadata: { agentId: 'a1' },
    hasOpenDispute: false,
    oddities: [],
  });
  expect(read?.invoices).toMatchObject([
    { invoiceId: 'in_2', paid: true, amountRemaining: 0, payPage: null },
    {
      invoiceId: 'in_1',
      paid: false,
      attempted: true,
      amountRemaining: 600,
      dueAt: date(T + 10),
      priceIds: ['price_1'],
    },
  ]);
  expect(asked).toEqual([
    '/v1/subscriptions/sub_1',
    '/v1/invoices?subscription=sub_1&limit=24&expand[0]=data.payments',
    '/v1/charges?customer=cus_1&limit=100',
  ]);
  expect([...versions]).toEqual([STRIPE_API_VERSION]);
});

test('reads the form of the API before 2025-03-31 as well', async () => {
  const old = subscription({
    current_period_end: T + 200,
    cancel_at_period_end: true,
    canceled_at: T,
    items: list([{ price: { id: 'price_1', product: { id: 'prod_1' } } }]),
    customer: { id: 'cus_1', object: 'customer' },
  });
  const bill = invoice({
    subscription: 'sub_1',
    paid: true,
    status: 'uncollectible',
    due_date: T + 5,
    payments: undefined,
    charge: 'ch_1',
    lines: list([{ amount: 1000, price: { id: 'price_1' } }]),
  });
  const { account, asked } = await startStripe({
    '/v1/subscriptions/sub_1': old,
    '/v1/invoices?': list([bill]),
    '/v1/charges?': list([{ id: 'ch_1', payment_intent: null, disputed: true }]),
    '/v1/disputes?': list([{ id: 'dp_1', status: 'needs_response', created: T }]),
  });
  expect(await readSubscription(account, 'sub_1')).toMatchObject({
    customerId: 'cus_1',
    periodEnd: date(T + 200),
    cancelAt: date(T + 200),
    canceledAt: date(T),
    hasOpenDispute: true,
    invoices: [{ paid: true, dueAt: date(T + 5), priceIds: ['price_1'] }],
    oddities: [],
  });
  expect(asked.at(-1)).toBe('/v1/disputes?charge=ch_1&limit=100');
});

test.each([
  ['the current period’s payment', 'pi_2', { lostDisputeOfCurrentPeriod: true, lostDisputeAt: date(T + 70) }],
  ['an old renewal', 'pi_1', { lostDisputeOfCurrentPeriod: false, lostDisputeAt: null }],
  [
    'another subscription of the customer',
    'pi_other',
    { closedDisputes: 0, lostDisputeOfCurrentPeriod: false },
  ],
])('tells a lost dispute about %s', async (_, intent, expected) => {
  const paid = { status: 'paid', amount_remaining: 0 };
  const { account } = await startStripe({
    '/v1/subscriptions/sub_1': subscription(),
    '/v1/invoices?': list([
      invoice({
        ...paid,
        id: 'in_2',
        created: T + 50,
        payments: list([{ payment: { payment_intent: 'pi_2' } }]),
      }),
      invoice(paid),
    ]),
    '/v1/charges?': list([{ id: 'ch_1', payment_intent: intent, disputed: true }]),
    '/v1/disputes?': list([{ id: 'dp_1', status: 'lost', created: T + 70 }]),
  });
  expect(await readSubscription(account, 'sub_1')).toMatchObject({ hasOpenDispute: false, ...expected });
});

/** A customer with many agents: the latest charges are all of other subscriptions. */
const manyCharges = list(
  Array.from({ length: 100 }, (_, n) => ({ id: `ch_${n}`, payment_intent: `pi_new${n}`, disputed: false })),
  true,
);
const paidBy = (...ids: string[]) =>
  invoice({
    status: 'paid',
    amount_remaining: 0,
    payments: list(
      ids.map((id) => ({ payment: id.startsWith('pi_') ? { payment_intent: id } : { charge: id } })),
    ),
  });

test.each([
  ['pi_9', '/v1/disputes?payment_intent=pi_9'],
  ['py_9', '/v1/disputes?charge=py_9'],
])('asks about a payment %s that is older than the customer’s latest charges', async (id, question) => {
  const { account, asked } = await startStripe({
    '/v1/subscriptions/sub_1': subscription(),
    '/v1/invoices?': list([paidBy('pi_new7', id)]),
    '/v1/charges?': manyCharges,
    [question]: list([{ id: 'dp_1', status: 'needs_response', created: T }]),
  });
  expect(await readSubscription(account, 'sub_1')).toMatchObject({ hasOpenDispute: true, oddities: [] });
  expect(asked.filter((path) => path.startsWith('/v1/disputes'))).toEqual([`${question}&limit=100`]);
});

test.each([
  ['one call each', paidBy(...Array.from({ length: 101 }, (_, n) => `pi_old${n}`))],
  ['an invoice names', invoice({ status: 'paid', payments: list([{ payment: { charge: 'ch_1' } }], true) })],
])('more payments than %s may be disputed: that counts as open', async (_, bill) => {
  const { account } = await startStripe({
    '/v1/subscriptions/sub_1': subscription(),
    '/v1/invoices?': list([bill]),
    '/v1/charges?': manyCharges,
    '/v1/disputes?': list([]),
  });
  expect(await readSubscription(account, 'sub_1')).toMatchObject({
    hasOpenDispute: true,
    oddities: [expect.stringContaining('disputed')],
  });
});

test('asks for no charges where nothing was paid', async () => {
  const { account, asked } = await startStripe({
    '/v1/subscriptions/sub_1': subscription({ status: 'trialing', trial_end: T + 100 }),
    '/v1/invoices?': list([invoice({ status: 'paid', payments: list([]) })]),
  });
  expect(await readSubscription(account, 'sub_1')).toMatchObject({ status: 'trialing', closedDisputes: 0 });
  expect(asked).toHaveLength(2);
});

test('asks for the open invoices that are older than the latest, page by page', async () => {
  const paid = { status: 'paid', amount_remaining: 0, payments: list([]) };
  const open = { payments: list([]) };
  const ofSub = '/v1/invoices?subscription=sub_1';
  const { account, asked } = await startStripe({
    '/v1/subscriptions/sub_1': subscription(),
    [`${ofSub}&limit=24`]: list(
      [invoice({ ...open, id: 'in_9', created: T + 90 }), invoice({ ...paid, id: 'in_8', created: T + 80 })],
      true,
    ),
    [`${ofSub}&limit=100&status=open&starting_after=in_2`]: list([
      invoice({ ...open, id: 'in_1', created: T + 10 }),
    ]),
    [`${ofSub}&limit=100&status=open`]: list(
      [invoice({ ...open, id: 'in_9', created: T + 90 }), invoice({ ...open, id: 'in_2', created: T + 20 })],
      true,
    ),
  });
  const read = await readSubscription(account, 'sub_1');
  expect(read?.invoices.map(({ invoiceId }) => invoiceId)).toEqual(['in_9', 'in_8', 'in_2', 'in_1']);
  expect(asked).toHaveLength(4);
});

test('goes back to the latest invoice that was settled, which says what is written off', async () => {
  const off = (id: string, created: number) =>
    invoice({ id, created, status: 'uncollectible', payments: list([]) });
  const paid = { status: 'paid', amount_remaining: 0, payments: list([]) };
  const ofSub = '/v1/invoices?subscription=sub_1';
  const { account, asked } = await startStripe({
    '/v1/subscriptions/sub_1': subscription({ status: 'past_due' }),
    [`${ofSub}&limit=24`]: list([off('in_9', T + 90)], true),
    [`${ofSub}&limit=100&starting_after=in_9`]: list(
      [off('in_8', T + 80), invoice({ ...paid, id: 'in_7', created: T + 70 })],
      true,
    ),
    [`${ofSub}&limit=100&status=open`]: list([]),
  });
  const read = await readSubscription(account, 'sub_1');
  expect(read?.invoices.map(({ invoiceId }) => invoiceId)).toEqual(['in_9', 'in_8', 'in_7']);
  expect(asked).toHaveLength(4);
});

test('an invoice that cannot be read stops no page of the others', async () => {
  const odd = invoice({ id: 7, status: 'paid', payments: list([]) });
  const ofSub = '/v1/invoices?subscription=sub_1';
  const { account } = await startStripe({
    '/v1/subscriptions/sub_1': subscription(),
    [`${ofSub}&limit=24`]: list([odd], true),
    [`${ofSub}&limit=100&status=open`]: list([invoice({ payments: list([]) })]),
  });
  const read = await readSubscription(account, 'sub_1');
  expect(read?.invoices.map(({ status }) => status)).toContain('open');
});

test.each([
  ['all of it', { amount_due: 0, total: 2900, pre_payment_credit_notes_amount: 2900 }, true],
  ['a part of it', { amount_due: 900, total: 2900, pre_payment_credit_notes_amount: 2000 }, false],
  ['what was paid', { amount_due: 2900, total: 2900, post_payment_credit_notes_amount: 2900 }, false],
])('tells whether a credit note took away an invoice: %s', async (_, changes, credited) => {
  const paid = { status: 'paid', amount_remaining: 0, payments: list([]) };
  const { account } = await startStripe({
    '/v1/subscriptions/sub_1': subscription(),
    '/v1/invoices?': list([invoice({ ...paid, ...changes })]),
  });
  expect((await readSubscription(account, 'sub_1'))?.invoices).toMatchObject([{ paid: true, credited }]);
});

test('an unknown subscription is undefined; a wrong address is an error', async () => {
  const { account } = await startStripe({});
  expect(await readSubscription(account, 'sub_1')).toBeUndefined();
  const proxy = createServer((_, response) =>
    response.writeHead(404).end('{"error":{"message":"no route"}}'),
  );
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void proxy.close());
  const { port } = proxy.address() as AddressInfo;
  const elsewhere = { ...account, apiUrl: `http://127.0.0.1:${port}` };
  await expect(readSubscription(elsewhere, 'sub_1')).rejects.toThrow(/Stripe/);
});

test.each([
  ['status', { status: 'hibernating' }, { status: 'unrecognized' }],
  ['status', { status: 7 }, { status: 'unrecognized' }],
  ['cancel_at', { cancel_at: 'tomorrow' }, { cancelAt: null }],
  ['ended_at', { ended_at: -5 }, { endedAt: null }],
  ['metadata', { metadata: [1] }, { metadata: {} }],
  ['items', { items: 'none' }, { items: [], periodEnd: null }],
  ['price.id', { items: list([{ price: null }]) }, { items: [] }],
  ['pause_collection', { pause_collection: 'yes' }, { collectionPaused: true }],
])('an odd %s harms nobody and is noted', async (field, changes, expected) => {
  const { account } = await startStripe({
    '/v1/subscriptions/sub_1': subscription(changes),
    '/v1/invoices?': list([]),
  });
  const read = await readSubscription(account, 'sub_1');
  expect(read).toMatchObject(expected);
  expect(read?.oddities).toEqual([expect.stringContaining(field)]);
});

test.each([{ amount_remaining: '1000' }, { status: 'overdue' }, { created: null }, { due_date: 'soon' }])(
  'an odd invoice %j is owed by nobody',
  async (changes) => {
    const { account } = await startStripe({
      '/v1/subscriptions/sub_1': subscription({ status: 'past_due' }),
      '/v1/invoices?': list([invoice({ ...changes, payments: list([]) })]),
    });
    const read = await readSubscription(account, 'sub_1');
    expect(read?.invoices).toMatchObject([{ status: 'unrecognized' }]);
    expect(read?.oddities).toHaveLength(1);
  },
);

test.each([
  ['no list', { object: 'invoice' }],
  ['an empty object', { object: 'list' }],
])('invoices that are %s are an error, not an empty list', async (_, answer) => {
  const { account } = await startStripe({
    '/v1/subscriptions/sub_1': subscription(),
    '/v1/invoices?': answer,
  });
  await expect(readSubscription(account, 'sub_1')).rejects.toThrow(/unreadable answer/);
});

test('lists all subscriptions, page by page', async () => {
  const { account, asked } = await startStripe({
    '/v1/subscriptions?status=all&limit=100&starting_after=sub_2': list([subscription({ id: 'sub_3' })]),
    '/v1/subscriptions?status=all&limit=100': list([subscription(), subscription({ id: 'sub_2' })], true),
  });
  const ids: string[] = [];
  for await (const { subscriptionId } of listSubscriptions(account)) ids.push(subscriptionId);
  expect(ids).toEqual(['sub_1', 'sub_2', 'sub_3']);
  expect(asked).toHaveLength(2);
});
