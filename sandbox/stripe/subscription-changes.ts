import type { SandboxTransaction } from '../database.ts';
import { type EventCause, emitEvent } from './events.ts';
import { listObjects, saveObject } from './objects.ts';
import { type Invoice, nowSeconds, type Subscription } from './wire.ts';

/** Saves a change and emits `customer.subscription.updated` with the previous values. */
export async function changeSubscription(
  trx: SandboxTransaction,
  before: Subscription,
  change: Partial<Subscription>,
  request?: EventCause,
): Promise<Subscription> {
  const after: Subscription = { ...before, ...change };
  const previous = Object.fromEntries(
    Object.entries(before).filter(([name, value]) => !sameValue(value, Reflect.get(after, name))),
  );
  if (Object.keys(previous).length === 0) return before;
  await saveObject(trx, after);
  const cause = request && { request };
  await emitEvent(trx, { type: 'customer.subscription.updated', object: after, previous, ...cause });
  return after;
}

type Feedback = NonNullable<Subscription['cancellation_details']>['feedback'];

/** The customer's reasons for a cancellation. */
interface CancellationReasons {
  comment?: string | null | undefined;
  feedback?: Feedback | undefined;
}

/** Cancels a subscription immediately and emits `customer.subscription.deleted`. */
export async function cancelSubscription(
  trx: SandboxTransaction,
  subscription: Subscription,
  request?: EventCause,
  details: CancellationReasons = {},
): Promise<Subscription> {
  const { comment = null, feedback = null } = details;
  const cancellation_details = { comment, feedback, feedback_option: null, reason: null };
  const named: Subscription = { ...subscription, canceled_at: nowSeconds(), cancellation_details };
  return endSubscription(trx, named, { reason: 'cancellation_requested', request });
}

type Reason = NonNullable<NonNullable<Subscription['cancellation_details']>['reason']>;

/**
 * Ends a subscription: it is canceled, and its unpaid invoices are no longer collected by themselves. Keeps
 * the time and the reasons of a cancellation that was requested before.
 */
export async function endSubscription(
  trx: SandboxTransaction,
  subscription: Subscription,
  { reason, request }: { reason: Reason; request?: EventCause | undefined },
): Promise<Subscription> {
  const now = nowSeconds();
  const { comment = null, feedback = null, feedback_option = null } = subscription.cancellation_details ?? {};
  const ended: Subscription = {
    ...subscription,
    status: 'canceled',
    canceled_at: subscription.canceled_at ?? now,
    ended_at: now,
    cancellation_details: {
      comment,
      feedback,
      feedback_option,
      reason: subscription.cancellation_details?.reason ?? reason,
    },
  };
  await saveObject(trx, ended);
  await stopCollection(trx, ended.id);
  await emitEvent(trx, { type: 'customer.subscription.deleted', object: ended, ...(request && { request }) });
  return ended;
}

async function stopCollection(trx: SandboxTransaction, subscription: string): Promise<void> {
  const { data } = await listObjects<Invoice>(trx, 'invoice', {
    filter: { auto_advance: true, parent: { subscription_details: { subscription } } },
    page: { limit: 100 },
  });
  const stopped = { auto_advance: false, automatically_finalizes_at: null, next_payment_attempt: null };
  for (const invoice of data) await saveObject(trx, { ...invoice, ...stopped } as Invoice);
}

/** Returns the id in a field that may be expanded. */
export function toId(field: string | { id: string }): string {
  return typeof field === 'string' ? field : field.id;
}

function sameValue(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
