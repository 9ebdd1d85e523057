import Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createClient, type SandboxFixture, setup } from '../../support/sandbox.ts';
import { chargeOf, control, eventTypes, failNext, payWith, subscribe } from '../../support/sandbox-stripe.ts';

let sandbox: SandboxFixture;
let subscription: Stripe.Subscription;
beforeAll(async () => {
  sandbox = await setup();
});
afterAll(() => sandbox.close());
beforeEach(async () => {
  subscription = await subscribe(sandbox);
});

const invoices = () => sandbox.stripe.invoices;
const status = async () => (await sandbox.stripe.subscriptions.retrieve(subscription.id)).status;

test('a purchase has a payment intent and a charge of the card, found by the invoice', async () => {
  const charge = await chargeOf(sandbox, String(subscription.latest_invoice));
  expect(charge).toMatchObject({
    amount: 2500,
    customer: subscription.customer,
    paid: true,
    payment_method: subscription.default_payment_method,
    payment_method_details: { card: { last4: '4242' } },
    status: 'succeeded',
  });
  const { data } = await sandbox.stripe.charges.list({ customer: String(subscription.customer) });
  expect(data.map(({ id }) => id)).toEqual([charge.id]);
  const invoice = await invoices().retrieve(String(subscription.latest_invoice), { expand: ['payments'] });
  expect(invoice).toMatchObject({
    attempt_count: 1,
    payments: { data: [{ amount_paid: 2500, status: 'paid' }] },
  });
});

test('a declined payment is answered with 402 and kept: attempt, charge and event', async () => {
  await payWith(sandbox, subscription, 'pm_card_chargeCustomerFail');
  const open = await failNext(sandbox, subscription.id);
  expect(open).toMatchObject({ status: 'open', attempt_count: 1, amount_remaining: 2500 });
  const refused = await invoices()
    .pay(open.id)
    .catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(Stripe.errors.StripeCardError);
  expect(refused).toMatchObject({ statusCode: 402, code: 'card_declined', decline_code: 'generic_decline' });
  // Only the schedule's retries count after the first attempt.
  expect(await invoices().retrieve(open.id)).toMatchObject({ status: 'open', attempt_count: 1 });
  expect(await eventTypes(sandbox, 1)).toEqual(['invoice.payment_failed']);

  const { data } = await sandbox.stripe.invoicePayments.list({
    invoice: open.id,
    expand: ['data.payment.payment_intent'],
  });
  expect(data).toMatchObject([
    {
      status: 'open',
      payment: {
        payment_intent: { status: 'requires_payment_method', last_payment_error: { code: 'card_declined' } },
      },
    },
  ]);
  const intent = data[0]!.payment.payment_intent as Stripe.PaymentIntent;
  const charges = await sandbox.stripe.charges.list({ payment_intent: intent.id });
  expect(charges.data.map((charge) => [charge.status, charge.failure_code])).toEqual([
    ['failed', 'card_declined'],
    ['failed', 'card_declined'],
  ]);
});

test('a repeat of a declined payment gets the same answer and charges nothing', async () => {
  await payWith(sandbox, subscription, 'pm_card_chargeCustomerFail');
  const { id } = await failNext(sandbox, subscription.id);
  const options = { idempotencyKey: `pay-${id}` };
  for (const _time of [1, 2])
    await expect(invoices().pay(id, {}, options)).rejects.toMatchObject({ statusCode: 402 });
  const { data } = await sandbox.stripe.charges.list({ customer: String(subscription.customer) });
  expect(data.map((charge) => charge.status)).toEqual(['failed', 'failed', 'succeeded']);
});

test('another card pays: once by name, and as the new default', async () => {
  await payWith(sandbox, subscription, 'pm_card_chargeCustomerFail');
  const first = await failNext(sandbox, subscription.id);
  const good = await sandbox.stripe.paymentMethods.attach('pm_card_visa', {
    customer: String(subscription.customer),
  });
  expect(await invoices().pay(first.id, { payment_method: good.id })).toMatchObject({ status: 'paid' });
  expect(await status()).toBe('active');
  const second = await failNext(sandbox, subscription.id);
  expect(await status()).toBe('past_due');
  await payWith(sandbox, subscription, 'pm_card_visa');
  expect(await invoices().pay(second.id)).toMatchObject({ status: 'paid', amount_paid: 2500 });
  expect(await status()).toBe('active');
  await expect(invoices().pay(second.id)).rejects.toMatchObject({ code: 'invoice_already_paid' });
});

test('an old invoice that is paid leaves the subscription past due while a newer one is owed', async () => {
  const old = await failNext(sandbox, subscription.id);
  const newest = await failNext(sandbox, subscription.id);
  await invoices().pay(old.id);
  expect(await status()).toBe('past_due');
  await invoices().pay(newest.id);
  expect(await status()).toBe('active');
});

test.each([
  ['void', 'void', 'invoice.voided', (id: string) => invoices().voidInvoice(id)],
  [
    'mark_uncollectible',
    'uncollectible',
    'invoice.marked_uncollectible',
    (id: string) => invoices().markUncollectible(id),
  ],
  ['pay out of band', 'paid', 'invoice.paid', (id: string) => invoices().pay(id, { paid_out_of_band: true })],
])(
  'an open invoice ends without a charge, and the subscription recovers: %s',
  async (_how, end, type, work) => {
    const { id } = await failNext(sandbox, subscription.id);
    expect(await work(id)).toMatchObject({ status: end, next_payment_attempt: null });
    expect(await status()).toBe('active');
    expect(await eventTypes(sandbox, 2)).toEqual(['customer.subscription.updated', type]);
    const { data } = await sandbox.stripe.invoicePayments.list({ invoice: id });
    expect(data.map((payment) => payment.status)).toEqual(['canceled']);
  },
);

test('an uncollectible invoice can still be paid; a void or a paid one cannot be changed', async () => {
  const { id } = await failNext(sandbox, subscription.id);
  await invoices().markUncollectible(id);
  expect(await invoices().pay(id)).toMatchObject({ status: 'paid' });
  for (const change of [invoices().voidInvoice, invoices().markUncollectible, invoices().finalizeInvoice])
    await expect(change.call(invoices(), id)).rejects.toMatchObject({ statusCode: 400 });
});

test('what is pending becomes a draft, which is finalized and then paid', async () => {
  const item = subscription.items.data[0]!;
  await sandbox.stripe.subscriptions.update(subscription.id, { items: [{ id: item.id, quantity: 3 }] });
  const draft = await invoices().create({ subscription: subscription.id });
  expect(draft).toMatchObject({ status: 'draft', number: null, status_transitions: { finalized_at: null } });
  const open = await invoices().finalizeInvoice(draft.id!);
  expect(open).toMatchObject({ status: 'open', number: expect.stringMatching(/^SANDBOX-/) });
  expect(await eventTypes(sandbox, 1)).toEqual(['invoice.finalized']);
  expect(await invoices().pay(open.id)).toMatchObject({ status: 'paid' });
  await expect(invoices().create({ subscription: subscription.id })).rejects.toMatchObject({
    code: 'invoice_no_customer_line_items',
  });
});

test('a plan change that the card refuses leaves the subscription past due, or changes nothing', async () => {
  await payWith(sandbox, subscription, 'pm_card_chargeCustomerFail');
  const items = [{ id: subscription.items.data[0]!.id, quantity: 9 }];
  const change = { items, proration_behavior: 'always_invoice' } as const;
  await expect(
    sandbox.stripe.subscriptions.update(subscription.id, {
      ...change,
      payment_behavior: 'error_if_incomplete',
    }),
  ).rejects.toMatchObject({ code: 'card_declined' });
  await expect(
    sandbox.stripe.subscriptions.update(subscription.id, {
      ...change,
      payment_behavior: 'pending_if_incomplete',
    }),
  ).rejects.toMatchObject({ statusCode: 400, param: 'payment_behavior' });
  const same = await sandbox.stripe.subscriptions.retrieve(subscription.id);
  expect(same).toMatchObject({ status: 'active', items: { data: [{ quantity: 2 }] } });
  const changed = await sandbox.stripe.subscriptions.update(subscription.id, {
    ...change,
    expand: ['latest_invoice'],
  });
  expect(changed).toMatchObject({
    status: 'past_due',
    items: { data: [{ quantity: 9 }] },
    latest_invoice: { status: 'open', billing_reason: 'subscription_update' },
  });
});

test('the control pays whatever the card says', async () => {
  await payWith(sandbox, subscription, 'pm_card_chargeCustomerFail');
  await failNext(sandbox, subscription.id);
  const paid = await control(sandbox, 'invoices/pay', { subscriptionId: subscription.id });
  expect(paid).toMatchObject({ status: 200, body: { status: 'paid' } });
});

test('retries of the official client do not charge twice', async () => {
  const stripe = createClient(sandbox.url, { maxNetworkRetries: 2 });
  const { id } = await failNext(sandbox, subscription.id);
  await fetch(`${sandbox.url}/sandbox/faults`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      area: 'stripe',
      method: 'POST',
      path: '/invoices/*/pay',
      effect: { kind: 'drop-answer' },
    }),
  });
  expect(await stripe.invoices.pay(id)).toMatchObject({ status: 'paid' });
  const { data } = await sandbox.stripe.charges.list({ customer: String(subscription.customer) });
  expect(data.map((charge) => charge.status)).toEqual(['succeeded', 'failed', 'succeeded']);
});
