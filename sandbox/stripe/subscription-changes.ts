import type { Queryable } from '../database.ts';
import { type EventCause, emitEvent } from './events.ts';
import { saveObject } from './objects.ts';
import { nowSeconds, type Subscription } from './wire.ts';

/** Saves a change, and emits `customer.subscription.updated` with what was there before. */
export async function changeSubscription(
  db: Queryable,
  before: Subscription,
  change: Partial<Subscription>,
  request?: EventCause,
): Promise<Subscription> {
  const after: Subscription = { ...before, ...change };
  const previous = Object.fromEntries(
    Object.entries(before).filter(([name, value]) => !sameValue(value, Reflect.get(after, name))),
  );
  if (Object.keys(previous).length === 0) return before;
  await saveObject(db, after);
  const cause = request && { request };
  await emitEvent(db, { type: 'customer.subscription.updated', object: after, previous, ...cause });
  return after;
}

type Feedback = NonNullable<Subscription['cancellation_details']>['feedback'];

/** What a customer says about the end. */
type CancellationWords = { comment?: string | null | undefined; feedback?: Feedback | undefined };

/** Ends a subscription at once, and emits `customer.subscription.deleted`. */
export async function cancelSubscription(
  db: Queryable,
  subscription: Subscription,
  request?: EventCause,
  details: CancellationWords = {},
): Promise<Subscription> {
  const now = nowSeconds();
  const canceled: Subscription = {
    ...subscription,
    status: 'canceled',
    canceled_at: now,
    ended_at: now,
    cancellation_details: {
      comment: details.comment ?? null,
      feedback: details.feedback ?? null,
      feedback_option: null,
      reason: 'cancellation_requested',
    },
  };
  await saveObject(db, canceled);
  const cause = request && { request };
  await emitEvent(db, { type: 'customer.subscription.deleted', object: canceled, ...cause });
  return canceled;
}

/** The id of a field that may be expanded. */
export function idOf(field: string | { id: string }): string {
  return typeof field === 'string' ? field : field.id;
}

function sameValue(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
