import type Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type SandboxFixture, setup } from '../../support/sandbox.ts';
import { chargeOf, control, eventTypes, failNext, payWith, subscribe } from '../../support/sandbox-stripe.ts';

let sandbox: SandboxFixture;
let subscription: Stripe.Subscription;
let charge: Stripe.Charge;
beforeAll(async () => {
  sandbox = await setup();
});
afterAll(() => sandbox.close());
beforeEach(async () => {
  subscription = await subscribe(sandbox);
  charge = await chargeOf(sandbox, String(subscription.latest_invoice));
});

const customer = () => String(subscription.customer);
const lastEvent = async () => (await sandbox.stripe.events.list({ limit: 1 })).data[0]!;

test('a charge is refunded in part and then whole, and its invoice stays paid', async () => {
  const part = await sandbox.stripe.refunds.create({ charge: charge.id, amount: 1000 });
  expect(part).toMatchObject({ amount: 1000, status: 'succeeded', payment_intent: charge.payment_intent });
  expect(await lastEvent()).toMatchObject({
    type: 'charge.refunded',
    data: { object: { id: charge.id, amount_refunded: 1000, refunded: false } },
  });
  const rest = await sandbox.stripe.refunds.create({
    payment_intent: String(charge.payment_intent),
    reason: 'requested_by_customer',
  });
  expect(rest).toMatchObject({ amount: 1500, reason: 'requested_by_customer' });
  const after = await sandbox.stripe.charges.retrieve(charge.id, { expand: ['refunds'] });
  expect(after).toMatchObject({ amount_refunded: 2500, refunded: true });
  expect(after.refunds?.data.map(({ id }) => id)).toEqual([rest.id, part.id]);
  await expect(sandbox.stripe.refunds.create({ charge: charge.id })).rejects.toMatchObject({
    code: 'charge_already_refunded',
  });
  expect(await sandbox.stripe.invoices.retrieve(String(subscription.latest_invoice))).toMatchObject({
    status: 'paid',
  });
});

test('refuses a refund of more than was paid, or of what failed', async () => {
  await expect(sandbox.stripe.refunds.create({ charge: charge.id, amount: 2501 })).rejects.toMatchObject({
    param: 'amount',
  });
  await failNext(sandbox, subscription.id);
  const [failed] = (await sandbox.stripe.charges.list({ customer: customer(), limit: 1 })).data;
  await expect(sandbox.stripe.refunds.create({ charge: failed!.id })).rejects.toMatchObject({
    statusCode: 400,
  });
});

test.each(['won', 'lost'] as const)(
  'the bank’s dispute is opened and %s, with its events',
  async (outcome) => {
    const opened = await control<Stripe.Dispute>(sandbox, 'disputes', { subscriptionId: subscription.id });
    expect(opened.body).toMatchObject({ charge: charge.id, amount: 2500, status: 'needs_response' });
    expect(await eventTypes(sandbox, 1)).toEqual(['charge.dispute.created']);
    expect(await sandbox.stripe.charges.retrieve(charge.id)).toMatchObject({ disputed: true });
    const listed = await sandbox.stripe.disputes.list({ payment_intent: String(charge.payment_intent) });
    expect(listed.data.map(({ id }) => id)).toEqual([opened.body.id]);
    await expect(sandbox.stripe.refunds.create({ charge: charge.id })).rejects.toMatchObject({
      code: 'charge_disputed',
    });

    await control(sandbox, `disputes/${opened.body.id}/close`, { outcome });
    expect(await sandbox.stripe.disputes.retrieve(opened.body.id)).toMatchObject({ status: outcome });
    expect(await lastEvent()).toMatchObject({
      type: 'charge.dispute.closed',
      data: { object: { id: opened.body.id, status: outcome } },
    });
    expect((await control(sandbox, `disputes/${opened.body.id}/close`, { outcome })).status).toBe(400);
  },
);

test('a dispute about an old renewal is not about the newest', async () => {
  const { id } = await failNext(sandbox, subscription.id);
  await sandbox.stripe.invoices.pay(id);
  const { body } = await control<Stripe.Dispute>(sandbox, 'disputes', {
    invoiceId: String(subscription.latest_invoice),
  });
  expect(body.charge).toBe(charge.id);
  expect(await chargeOf(sandbox, id)).toMatchObject({ disputed: false });
});

test('the merchant answers a dispute with evidence that decides it, or accepts it', async () => {
  const { body } = await control<Stripe.Dispute>(sandbox, 'disputes', { chargeId: charge.id });
  const answered = await sandbox.stripe.disputes.update(body.id, {
    evidence: { customer_name: 'Ada' },
    submit: false,
  });
  expect(answered).toMatchObject({ status: 'needs_response', evidence: { customer_name: 'Ada' } });
  const won = await sandbox.stripe.disputes.update(body.id, {
    evidence: { uncategorized_text: 'winning_evidence' },
  });
  expect(won).toMatchObject({ status: 'won', evidence_details: { submission_count: 1 } });
  await expect(sandbox.stripe.disputes.close(body.id)).rejects.toMatchObject({ statusCode: 400 });

  const disputed = await subscribe(sandbox);
  await payWith(sandbox, disputed, 'pm_card_createDispute');
  await sandbox.stripe.invoices.pay((await failNext(sandbox, disputed.id)).id);
  const [dispute] = (await sandbox.stripe.disputes.list({ limit: 1 })).data;
  expect(dispute).toMatchObject({ status: 'needs_response', reason: 'fraudulent' });
  expect(await sandbox.stripe.disputes.close(dispute!.id)).toMatchObject({ status: 'lost' });
});

test('a credit note that brings an open invoice to zero pays it', async () => {
  const { id } = await failNext(sandbox, subscription.id);
  const part = await sandbox.stripe.creditNotes.create({ invoice: id, amount: 500 });
  expect(part).toMatchObject({ amount: 500, type: 'pre_payment', status: 'issued' });
  expect(await sandbox.stripe.invoices.retrieve(id)).toMatchObject({
    status: 'open',
    amount_remaining: 2000,
    pre_payment_credit_notes_amount: 500,
  });
  const voided = await sandbox.stripe.creditNotes.voidCreditNote(part.id);
  expect(voided).toMatchObject({ status: 'void' });
  await sandbox.stripe.creditNotes.create({ invoice: id, amount: 2500, memo: 'Sorry' });
  expect(await sandbox.stripe.invoices.retrieve(id)).toMatchObject({
    status: 'paid',
    amount_due: 0,
    amount_paid: 0,
    amount_remaining: 0,
  });
  expect(await eventTypes(sandbox, 3)).toEqual([
    'customer.subscription.updated',
    'invoice.paid',
    'credit_note.created',
  ]);
  expect(await sandbox.stripe.subscriptions.retrieve(subscription.id)).toMatchObject({ status: 'active' });
});

test('a credit note of a paid invoice gives back by card and by balance', async () => {
  const invoice = String(subscription.latest_invoice);
  await expect(
    sandbox.stripe.creditNotes.create({ invoice, amount: 900, refund_amount: 500 }),
  ).rejects.toMatchObject({ param: 'amount' });
  const note = await sandbox.stripe.creditNotes.create({
    invoice,
    amount: 900,
    refund_amount: 500,
    credit_amount: 400,
    expand: ['customer_balance_transaction'],
  });
  expect(note).toMatchObject({
    type: 'post_payment',
    customer_balance_transaction: { amount: -400, type: 'credit_note', ending_balance: -400 },
    refunds: [{ amount_refunded: 500 }],
  });
  expect(await sandbox.stripe.charges.retrieve(charge.id)).toMatchObject({ amount_refunded: 500 });
  const { data } = await sandbox.stripe.creditNotes.list({ invoice });
  expect(data.map(({ id }) => id)).toEqual([note.id]);
});

test('a customer’s credit pays the next invoice, without a charge', async () => {
  const transaction = await sandbox.stripe.customers.createBalanceTransaction(customer(), {
    amount: -2500,
    currency: 'eur',
    description: 'Goodwill',
  });
  expect(transaction).toMatchObject({ type: 'adjustment', ending_balance: -2500 });
  expect(await sandbox.stripe.customers.retrieve(customer())).toMatchObject({ balance: -2500 });
  const next = await failNext(sandbox, subscription.id);
  expect(next).toMatchObject({ status: 'paid', amount_due: 0, starting_balance: -2500, attempt_count: 0 });
  const { data } = await sandbox.stripe.customers.listBalanceTransactions(customer());
  expect(data.map(({ amount, type, invoice }) => [amount, type, invoice])).toEqual([
    [2500, 'applied_to_invoice', next.id],
    [-2500, 'adjustment', null],
  ]);
  const found = await sandbox.stripe.customers.retrieveBalanceTransaction(customer(), transaction.id);
  expect(found).toMatchObject({ description: 'Goodwill' });
  await expect(
    sandbox.stripe.customers.createBalanceTransaction(customer(), { amount: 1, currency: 'usd' }),
  ).rejects.toMatchObject({ param: 'currency' });
});
