import type { Invoice, Session, Subscription } from './wire.ts';

interface Kind {
  object: string;
}

/** The first payment of an incomplete subscription must succeed within this. */
export const INCOMPLETE_SECONDS = 23 * 3600;
/** How long before its end a trial is announced. */
export const TRIAL_WARNING_SECONDS = 3 * 24 * 3600;

/**
 * Returns when something happens to an object by the passing of time alone, in Unix seconds; null for never.
 * It follows from the object's present state, so whoever saves an object schedules what comes next.
 */
export function nextAt(body: Kind, now: number): number | null {
  if (isKind<Subscription>(body, 'subscription')) return nextOfSubscription(body, now);
  if (isKind<Invoice>(body, 'invoice')) return nextOfInvoice(body);
  if (isKind<Session>(body, 'checkout.session')) return body.status === 'open' ? body.expires_at : null;
  return null;
}

function isKind<T extends Kind>(body: Kind, object: T['object']): body is T {
  return body.object === object;
}

function nextOfSubscription(subscription: Subscription, now: number): number | null {
  const { status, created, cancel_at, pause_collection, trial_end } = subscription;
  if (status === 'canceled' || status === 'incomplete_expired') return null;
  if (status === 'incomplete') return created + INCOMPLETE_SECONDS;
  const warning = status === 'trialing' && trial_end !== null ? trial_end - TRIAL_WARNING_SECONDS : null;
  return earliest([
    status === 'paused' ? null : periodEnd(subscription),
    cancel_at,
    pause_collection?.resumes_at ?? null,
    // It is due once: afterwards it is in the past.
    warning !== null && warning > now ? warning : null,
  ]);
}

/** Returns the end of the current period, which all items of a subscription share. */
export function periodEnd(subscription: Subscription): number | null {
  return earliest(subscription.items.data.map((item) => item.current_period_end));
}

function nextOfInvoice(invoice: Invoice): number | null {
  if (!invoice.auto_advance) return null;
  if (invoice.status === 'draft') return invoice.automatically_finalizes_at;
  return invoice.status === 'open' ? invoice.next_payment_attempt : null;
}

function earliest(times: readonly (number | null)[]): number | null {
  const set = times.filter((time) => time !== null);
  return set.length === 0 ? null : Math.min(...set);
}
