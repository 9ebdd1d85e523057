import type { SandboxTransaction } from '../database.ts';
import { nextAttemptAt, readDunning } from './dunning.ts';
import { type EventCause, emitEvent } from './events.ts';
import { closePayment, findOpenPayment } from './invoice-payments.ts';
import { listObjects, lockObject, saveObject } from './objects.ts';
import { changeSubscription, toId } from './subscription-changes.ts';
import { type Invoice, nowSeconds, type PaymentIntent, type Subscription } from './wire.ts';

interface Attempt {
  /** The attempt is one of the schedule's, and not a request's. */
  automatic?: boolean;
  request?: EventCause | undefined;
}

/** Marks an open invoice paid and emits `invoice.paid`. Its subscription recovers. */
export async function markPaid(
  trx: SandboxTransaction,
  invoice: Invoice,
  { automatic = false, request }: Attempt = {},
): Promise<Invoice> {
  const paid: Invoice = {
    ...invoice,
    ...NOT_COLLECTED,
    amount_paid: invoice.amount_paid + invoice.amount_remaining,
    amount_remaining: 0,
    attempt_count: countAttempts(invoice, automatic),
    attempted: true,
    status: 'paid',
    status_transitions: { ...invoice.status_transitions, paid_at: nowSeconds() },
  };
  return endInvoice(trx, paid, 'invoice.paid', request);
}

/**
 * Records a failed attempt to pay an open invoice and emits `invoice.payment_failed`. Its subscription is
 * past due. An attempt that does not count leaves the schedule of the retries as it is.
 */
export async function markFailed(
  trx: SandboxTransaction,
  invoice: Invoice,
  { automatic = true, request }: Attempt = {},
): Promise<Invoice> {
  const attempts = countAttempts(invoice, automatic);
  const counts = attempts > invoice.attempt_count;
  const next = counts
    ? nextAttemptAt(await readDunning(trx), attempts, nowSeconds())
    : invoice.next_payment_attempt;
  const failed: Invoice = {
    ...invoice,
    attempt_count: attempts,
    attempted: true,
    next_payment_attempt: invoice.auto_advance ? next : null,
  };
  await saveObject(trx, failed);
  await emitEvent(trx, { type: 'invoice.payment_failed', object: failed, ...(request && { request }) });
  const id = failed.parent?.subscription_details?.subscription;
  const subscription = id && (await lockObject<Subscription>(trx, 'subscription', toId(id)));
  if (subscription && (subscription.status === 'active' || subscription.status === 'trialing'))
    await changeSubscription(trx, subscription, { status: 'past_due' }, request);
  return failed;
}

/** Any attempt counts as the first; after that only the schedule's do. Nothing owed needs no attempt. */
function countAttempts({ attempt_count, amount_remaining }: Invoice, automatic: boolean): number {
  const counts = amount_remaining > 0 && (automatic || attempt_count === 0);
  return counts ? attempt_count + 1 : attempt_count;
}

/** Voids an open invoice and emits `invoice.voided`. Nothing is owed for it any more. */
export async function voidInvoice(
  trx: SandboxTransaction,
  invoice: Invoice,
  request?: EventCause,
): Promise<Invoice> {
  const status_transitions = { ...invoice.status_transitions, voided_at: nowSeconds() };
  const voided: Invoice = { ...invoice, ...NOT_COLLECTED, status: 'void', status_transitions };
  return endInvoice(trx, voided, 'invoice.voided', request);
}

/** Gives an open invoice up and emits `invoice.marked_uncollectible`. It can still be paid or voided. */
export async function markUncollectible(
  trx: SandboxTransaction,
  invoice: Invoice,
  request?: EventCause,
): Promise<Invoice> {
  const status_transitions = { ...invoice.status_transitions, marked_uncollectible_at: nowSeconds() };
  const given: Invoice = { ...invoice, ...NOT_COLLECTED, status: 'uncollectible', status_transitions };
  return endInvoice(trx, given, 'invoice.marked_uncollectible', request);
}

const NOT_COLLECTED = { auto_advance: false, next_payment_attempt: null };

async function endInvoice(
  trx: SandboxTransaction,
  ended: Invoice,
  type: 'invoice.marked_uncollectible' | 'invoice.paid' | 'invoice.voided',
  request: EventCause | undefined,
): Promise<Invoice> {
  await saveObject(trx, ended);
  await cancelOpenPayment(trx, ended);
  await emitEvent(trx, { type, object: ended, ...(request && { request }) });
  const subscription = ended.parent?.subscription_details?.subscription;
  if (subscription) await recoverSubscription(trx, toId(subscription), request);
  return ended;
}

/** A payment that was tried and then settled in another way must not be charged later. */
async function cancelOpenPayment(trx: SandboxTransaction, invoice: Invoice): Promise<void> {
  const payment = await findOpenPayment(trx, invoice.id);
  if (payment === undefined) return;
  await closePayment(trx, payment, 'canceled');
  const id = toId(payment.payment.payment_intent ?? '');
  const intent = await lockObject<PaymentIntent>(trx, 'payment_intent', id);
  const canceled: PaymentIntent = {
    ...intent,
    canceled_at: nowSeconds(),
    cancellation_reason: 'void_invoice',
    status: 'canceled',
  };
  await saveObject(trx, canceled);
}

/**
 * Makes a subscription active again whose newest invoice is no longer owed. As at Stripe, older open invoices
 * do not count: they stay owed, but do not keep it past due.
 */
async function recoverSubscription(
  trx: SandboxTransaction,
  id: string,
  request: EventCause | undefined,
): Promise<void> {
  const subscription = await lockObject<Subscription>(trx, 'subscription', id);
  const newest = await findNewestOwed(trx, id);
  if (newest?.status === 'open') return;
  if (subscription.status === 'incomplete') {
    const status = newest === undefined ? 'incomplete_expired' : 'active';
    await changeSubscription(trx, subscription, { status }, request);
  } else if (subscription.status === 'past_due' || subscription.status === 'unpaid') {
    await changeSubscription(trx, subscription, { status: 'active' }, request);
  }
}

/** Returns the newest invoice that was paid or is still owed. */
async function findNewestOwed(trx: SandboxTransaction, subscription: string): Promise<Invoice | undefined> {
  const { data } = await listObjects<Invoice>(trx, 'invoice', {
    filter: { parent: { subscription_details: { subscription } } },
    anyOf: [{ status: 'open' }, { status: 'paid' }],
    page: { limit: 1 },
  });
  return data[0];
}
