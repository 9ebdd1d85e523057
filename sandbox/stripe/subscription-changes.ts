import type { SandboxTransaction } from '../database.ts';
import { type EventCause, emitEvent } from './events.ts';
import { saveObject } from './objects.ts';
import { nowSeconds, type Subscription } from './wire.ts';

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
  await saveObject(trx, canceled);
  const cause = request && { request };
  await emitEvent(trx, { type: 'customer.subscription.deleted', object: canceled, ...cause });
  return canceled;
}

/** Returns the id in a field that may be expanded. */
export function toId(field: string | { id: string }): string {
  return typeof field === 'string' ? field : field.id;
}

function sameValue(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
