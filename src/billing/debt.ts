import { latestInvoice } from '../stripe/latest-invoice.ts';
import type { Invoice, Subscription, SubscriptionStatus } from '../stripe/subscription-view.ts';
import type { BillingPolicy } from './policy.ts';

/** What is owed at present, by its earliest due date. */
export interface Debt {
  since: Date;
  /** Stripe has given up collecting: the suspension waits for nothing but its announcement. */
  givenUp: boolean;
}

/** In these statuses the payment of an open invoice has failed; in others it may still be under way. */
const FAILING: readonly SubscriptionStatus[] = ['past_due', 'unpaid', 'canceled', 'paused'];

/** Whether a subscription was cancelled because of its payments, not because its owner wanted to leave. */
export function endedForPayment(subscription: Subscription): boolean {
  if (subscription.status !== 'canceled') return false;
  const { cancelReason } = subscription;
  if (cancelReason === undefined) return subscription.invoices.some(isOpen);
  return cancelReason !== 'requested';
}

/**
 * Finds what is owed. Invoices decide, not the subscription's status: one that is paid, voided, credited or
 * paid out of band is no debt, whatever the status says. Retries change neither.
 * @returns the debt, `collectedUntil` for a latest invoice whose payment may still be under way, or neither
 */
export function findDebt(
  subscription: Subscription,
  policy: BillingPolicy,
  now: Date,
): { debt?: Debt; collectedUntil?: Date } {
  const { status } = subscription;
  if (status === 'incomplete' || status === 'incomplete_expired') return {};
  if (status === 'canceled' && !endedForPayment(subscription)) return {};
  const owed = subscription.invoices.filter(
    (invoice) => isOwed(invoice, subscription) && invoice.dueAt <= now,
  );
  // What was lost after the end changes nothing about the end.
  const lost = subscription.lostDisputeOfCurrentPeriod && status !== 'canceled';
  const since = earliest([
    ...owed.map(({ dueAt }) => dueAt),
    ...(lost ? [subscription.lostDisputeAt] : []),
    ...(status === 'paused' ? [subscription.trialEnd ?? subscription.periodEnd] : []),
  ]);
  if (since === undefined || since > now) return {};
  const warnedBy = new Date(since.getTime() + policy.warnAgainAfterMs);
  const underWay =
    !FAILING.includes(status) && !lost && owed.every((invoice) => invoice === newest(subscription.invoices));
  if (underWay && now < warnedBy) return { collectedUntil: warnedBy };
  return { debt: { since, givenUp: status === 'unpaid' || status === 'canceled' } };
}

/** Returns when the next invoices fall due. */
export function listDueDates({ invoices }: Subscription): Date[] {
  return invoices.filter(isOpen).map(({ dueAt }) => dueAt);
}

function isOpen({ status, paid, amountRemaining }: Invoice): boolean {
  return status === 'open' && !paid && amountRemaining > 0;
}

/**
 * An uncollectible invoice is owed only if collecting it was tried (not where collection was paused), while
 * Stripe itself calls the subscription unpaid, and until a later invoice is paid or voided.
 */
function isOwed(invoice: Invoice, { status, invoices }: Subscription): boolean {
  if (isOpen(invoice)) return true;
  if (invoice.status !== 'uncollectible' || invoice.paid || invoice.amountRemaining <= 0) return false;
  if (!invoice.attempted || !['past_due', 'unpaid', 'canceled'].includes(status)) return false;
  // Of two of the same second the settled one counts as the later.
  return !invoices.some(
    (other) => (other.paid || other.status === 'void') && other.createdAt >= invoice.createdAt,
  );
}

function newest(invoices: readonly Invoice[]): Invoice | undefined {
  return latestInvoice(invoices.filter(({ status }) => status !== 'draft' && status !== 'void'));
}

function earliest(dates: readonly (Date | null)[]): Date | undefined {
  const times = dates.filter((date) => date !== null).map((date) => date.getTime());
  return times.length === 0 ? undefined : new Date(Math.min(...times));
}
