import type { SandboxTransaction } from '../database.ts';
import { nextAttemptAt, readDunning } from './dunning.ts';
import { type EventCause, emitEvent } from './events.ts';
import { toPaid } from './invoice-states.ts';
import { listObjects, lockObject, saveObject } from './objects.ts';
import { changeSubscription, endSubscription, toId } from './subscription-changes.ts';
import { type Invoice, nowSeconds, type Subscription } from './wire.ts';

/** Data of an invoice that its object does not show. */
export interface InvoiceHidden {
  /** Every retry fails, because a control of the sandbox asked for it. */
  retriesFail?: boolean;
}

interface Attempt {
  /** The attempt is one of the schedule's, and not a request's. */
  automatic?: boolean;
  request?: EventCause | undefined;
}

/**
 * Marks an open invoice paid, with its events. A subscription that waited for its newest invoice becomes
 * active.
 */
export async function markPaid(
  trx: SandboxTransaction,
  invoice: Invoice,
  { automatic = false, request }: Attempt = {},
): Promise<Invoice> {
  const paid: Invoice = { ...toPaid(invoice), attempt_count: countAttempts(invoice, automatic) };
  await saveObject(trx, paid);
  const cause = request && { request };
  await emitEvent(trx, { type: 'invoice.payment_succeeded', object: paid, ...cause });
  await emitEvent(trx, { type: 'invoice.paid', object: paid, ...cause });
  const subscription = await lockSubscription(trx, paid);
  if (subscription === undefined || !WAITING.has(subscription.status)) return paid;
  if (await isNewestFinalized(trx, subscription.id, paid))
    await changeSubscription(trx, subscription, { status: 'active' }, request);
  return paid;
}

const WAITING = new Set<string>(['incomplete', 'past_due', 'unpaid']);

/**
 * Records a failed attempt to pay an open invoice, with its event, and schedules the next. The subscription
 * becomes past due; after the last retry the account's settings say what becomes of it.
 */
export async function markFailed(
  trx: SandboxTransaction,
  invoice: Invoice,
  { automatic = true, request }: Attempt = {},
): Promise<Invoice> {
  const dunning = await readDunning(trx);
  const subscription = await lockSubscription(trx, invoice);
  const attempts = countAttempts(invoice, automatic);
  // The first payment of a subscription is not retried by itself: it expires.
  const retries = subscription !== undefined && subscription.status !== 'incomplete';
  const isScheduled = attempts > invoice.attempt_count;
  const next = isScheduled ? nextAttemptAt(dunning, attempts, nowSeconds()) : invoice.next_payment_attempt;
  const failed: Invoice = {
    ...invoice,
    attempt_count: attempts,
    attempted: true,
    next_payment_attempt: retries ? next : null,
  };
  await saveObject(trx, failed);
  const cause = request && { request };
  await emitEvent(trx, { type: 'invoice.payment_failed', object: failed, ...cause });
  if (!retries) return failed;
  const isLast = failed.next_payment_attempt === null;
  const status = isLast && dunning.subscription === 'mark_unpaid' ? 'unpaid' : 'past_due';
  const isOver = isLast && dunning.subscription === 'cancel' && subscription.status !== 'canceled';
  if (isLast && dunning.invoice === 'mark_uncollectible') await markUncollectible(trx, failed);
  if (isOver) await endSubscription(trx, subscription, { reason: 'payment_failed', request });
  else if (COLLECTED.has(subscription.status))
    await changeSubscription(trx, subscription, { status }, request);
  return failed;
}

const COLLECTED = new Set<string>(['active', 'past_due', 'trialing']);

/** Writes an open invoice off. It can still be paid. */
export async function markUncollectible(trx: SandboxTransaction, invoice: Invoice): Promise<Invoice> {
  const status_transitions = { ...invoice.status_transitions, marked_uncollectible_at: nowSeconds() };
  const marked: Invoice = {
    ...invoice,
    next_payment_attempt: null,
    status: 'uncollectible',
    status_transitions,
  };
  await saveObject(trx, marked);
  await emitEvent(trx, { type: 'invoice.marked_uncollectible', object: marked });
  return marked;
}

/** Voids an open invoice: nothing is owed on it any more. */
export async function voidInvoice(trx: SandboxTransaction, invoice: Invoice): Promise<Invoice> {
  const status_transitions = { ...invoice.status_transitions, voided_at: nowSeconds() };
  const voided: Invoice = { ...invoice, next_payment_attempt: null, status: 'void', status_transitions };
  await saveObject(trx, voided);
  await emitEvent(trx, { type: 'invoice.voided', object: voided });
  return voided;
}

/** Any attempt counts as the first; after that only the schedule's do. */
function countAttempts({ attempt_count }: Invoice, automatic: boolean): number {
  return automatic || attempt_count === 0 ? attempt_count + 1 : attempt_count;
}

async function lockSubscription(
  trx: SandboxTransaction,
  invoice: Invoice,
): Promise<Subscription | undefined> {
  const id = invoice.parent?.subscription_details?.subscription;
  return id ? lockObject<Subscription>(trx, 'subscription', toId(id)) : undefined;
}

/** Paying an old invoice settles nothing while a newer one is owed. */
async function isNewestFinalized(
  trx: SandboxTransaction,
  subscription: string,
  { id }: Invoice,
): Promise<boolean> {
  const { data } = await listObjects<Invoice>(trx, 'invoice', {
    filter: { parent: { subscription_details: { subscription } } },
    except: { status: 'draft' },
    page: { limit: 1 },
  });
  return data[0]?.id === id;
}
