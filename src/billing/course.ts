import { latestInvoice } from '../stripe/latest-invoice.ts';
import type { Subscription } from '../stripe/subscription-view.ts';
import { type Debt, endedForPayment } from './debt.ts';
import type { BillingPolicy } from './policy.ts';

/** Why invoices are made that begin a period. */
export const PERIOD_REASONS: readonly (string | null)[] = ['subscription_create', 'subscription_cycle'];

/** Why an agent is to stop, and when by the timetable alone; announcements may postpone every date. */
export interface Course {
  kind: 'debt' | 'end';
  /** The cause's date, part of every announcement's key: a new cause is announced again. */
  anchor: Date;
  /** When the suspension is to be announced. */
  warnAt: Date;
  stopAt: Date;
  /** Whether `stopAt` counts: a planned cancellation stops nothing before Stripe says that it came. */
  stops: boolean;
  /** The time from which hibernation and deletion count, at the earliest. */
  countsFrom: Date;
  /** When it is to be deleted, if it was suspended at this time. */
  deleteAt: (suspendedAt: Date) => Date;
}

/** The course of what is owed. */
export function debtCourse({ since, givenUp }: Debt, policy: BillingPolicy): Course {
  const stopAt = givenUp ? since : later(since, policy.suspendAfterMs);
  return {
    kind: 'debt',
    anchor: since,
    warnAt: givenUp ? since : later(since, policy.warnAgainAfterMs),
    stopAt,
    stops: true,
    countsFrom: stopAt,
    deleteAt: (suspendedAt) => later(latest(suspendedAt, stopAt), policy.deleteAfterMs),
  };
}

/** The course of a subscription that has ended or will end because its owner wants it to. */
export function endCourse(
  subscription: Subscription,
  hasDebt: boolean,
  policy: BillingPolicy,
  now: Date,
): Course | undefined {
  const end = findEnd(subscription, hasDebt);
  if (end === undefined) return undefined;
  return {
    kind: 'end',
    anchor: subscription.canceledAt ?? end,
    warnAt: later(end, -policy.warnAgainAfterMs),
    stopAt: end,
    stops: hasEnded(subscription) && end <= now,
    countsFrom: end,
    // Stripe's cancellation for want of payment keeps the long time, also if its debt is waived.
    deleteAt: (suspendedAt) =>
      subscription.cancelReason === 'payment_failed' && !servesPaidPeriod(subscription)
        ? later(latest(suspendedAt, end), policy.deleteAfterMs)
        : later(end, policy.cancelGraceMs),
  };
}

/** Whether Stripe says that the subscription is over. */
export function hasEnded({ status }: Subscription): boolean {
  return status === 'canceled' || status === 'incomplete_expired';
}

/** Returns when the service ends because its owner wants that; undefined if it goes on, or is owed for. */
function findEnd(subscription: Subscription, hasDebt: boolean): Date | undefined {
  const { endedAt, canceledAt, cancelAt, periodEnd, invoices } = subscription;
  if (!hasEnded(subscription)) return cancelAt ?? undefined;
  const ended = endedAt ?? canceledAt ?? cancelAt ?? invoices[0]?.createdAt ?? periodEnd ?? undefined;
  if (!endedForPayment(subscription)) return ended;
  if (hasDebt) return undefined;
  const isServed = periodEnd !== null && servesPaidPeriod(subscription);
  return isServed && ended !== undefined ? latest(ended, periodEnd) : ended;
}

/**
 * Whether Stripe cancelled a subscription for want of payment and its last period was paid for all the same:
 * it is served to its end. An invoice that was voided or credited in full was paid by nobody; of one that
 * cannot be read nobody knows, so it counts as paid. A later invoice that was paid stands in for it.
 */
export function servesPaidPeriod({ cancelReason, invoices }: Subscription): boolean {
  if (cancelReason !== 'payment_failed') return false;
  const bill = latestInvoice(
    invoices.filter(
      ({ status, billingReason }) => status !== 'draft' && PERIOD_REASONS.includes(billingReason),
    ),
  );
  if (bill === undefined || bill.status === 'unrecognized') return true;
  if (bill.paid && !bill.credited) return true;
  // One that replaces it, made by hand, has another reason.
  return invoices.some(
    (other) =>
      other !== bill &&
      other.createdAt >= bill.createdAt &&
      other.paid &&
      !other.credited &&
      other.amountDue > 0,
  );
}

export function later(date: Date, milliseconds: number): Date {
  return new Date(date.getTime() + milliseconds);
}

export function latest(first: Date, ...others: readonly Date[]): Date {
  return new Date(Math.max(first.getTime(), ...others.map((date) => date.getTime())));
}
