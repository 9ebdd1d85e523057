import { z } from 'zod';
import type { SandboxTransaction } from '../database.ts';
import { readMethodOf } from './default-payment-method.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest, resourceMissing } from './errors.ts';
import type { EventCause } from './events.ts';
import { lockObject } from './objects.ts';
import {
  boolean,
  changeMetadata,
  definedOnly,
  fields,
  integer,
  metadataChange,
  text,
  unsettable,
} from './parameters.ts';
import { collectNow, type FollowedChange, followPlanChange } from './plan-change.ts';
import { equals, mountResource, ofTestClock, type Resource } from './resource.ts';
import { cancelSubscription, changeSubscription, toId } from './subscription-changes.ts';
import { createParameters, createSubscription } from './subscription-create.ts';
import { itemsChange, planItems } from './subscription-items.ts';
import { mountSubscriptionPauses } from './subscription-pauses.ts';
import { nowSeconds, type Subscription } from './wire.ts';

const STATUSES = [
  'active',
  'past_due',
  'unpaid',
  'canceled',
  'incomplete',
  'incomplete_expired',
  'trialing',
  'paused',
] as const;

export const subscriptions: Resource<Subscription> = {
  object: 'subscription',
  path: '/subscriptions',
  filters: {
    collection_method: equals(z.enum(['charge_automatically', 'send_invoice']), 'collection_method'),
    customer: equals(text, 'customer'),
    price: { value: text, narrow: (id: string) => ({ filter: { items: { data: [{ price: { id } }] } } }) },
    status: {
      value: z.enum([...STATUSES, 'all', 'ended']),
      narrow: (status: string) =>
        status === 'all' ? {} : { filter: { status: status === 'ended' ? 'canceled' : status } },
      absent: { except: { status: 'canceled' } },
    },
    test_clock: ofTestClock,
  },
  search: {
    canceled_at: { type: 'number', path: ['canceled_at'] },
    created: { type: 'number', path: ['created'] },
    status: { type: 'token', path: ['status'] },
  },
  expandable: {
    customer: 'customer',
    default_payment_method: 'payment_method',
    default_source: 'source',
    discounts: 'discount',
    items: 'subscription_item[]',
    latest_invoice: 'invoice',
    pending_setup_intent: 'setup_intent',
    schedule: 'subscription_schedule',
    test_clock: 'test_helpers.test_clock',
  },
};

const FEEDBACKS = [
  'customer_service',
  'low_quality',
  'missing_features',
  'other',
  'switched_service',
  'too_complex',
  'too_expensive',
  'unused',
] as const;

const cancellationDetails = fields({
  comment: unsettable(text).optional(),
  feedback: unsettable(z.enum(FEEDBACKS)).optional(),
}).optional();

const updateParameters = {
  billing_cycle_anchor: z.enum(['now', 'unchanged']).optional(),
  cancel_at: unsettable(integer).optional(),
  cancel_at_period_end: boolean.optional(),
  cancellation_details: cancellationDetails,
  default_payment_method: unsettable(text).optional(),
  description: unsettable(text.max(500)).optional(),
  items: itemsChange.optional(),
  metadata: metadataChange,
  off_session: boolean.optional(),
  payment_behavior: z
    .enum(['allow_incomplete', 'default_incomplete', 'error_if_incomplete', 'pending_if_incomplete'])
    .optional(),
  pause_collection: unsettable(
    fields({
      behavior: z.enum(['keep_as_draft', 'mark_uncollectible', 'void']),
      resumes_at: integer.nullable().default(null),
    }),
  ).optional(),
  proration_behavior: z.enum(['always_invoice', 'create_prorations', 'none']).default('create_prorations'),
  proration_date: integer.optional(),
};

export type Update = z.output<z.ZodObject<typeof updateParameters>>;

export function mountSubscriptions(endpoints: Endpoints): void {
  mountResource(endpoints, subscriptions);
  mountSubscriptionPauses(endpoints);
  const created = { answers: 'subscription', parameters: createParameters };
  endpoints.post('/subscriptions', created, (trx, { input, request }) =>
    createSubscription(trx, input, request),
  );
  const updated = { answers: 'subscription', parameters: updateParameters };
  endpoints.post('/subscriptions/:id', updated, (trx, { id, input, request }) =>
    updateSubscription(trx, id, input, request),
  );
  const ended = { answers: 'subscription', parameters: { cancellation_details: cancellationDetails } };
  endpoints.delete('/subscriptions/:id', ended, async (trx, { id, input, request }) =>
    cancelSubscription(trx, await lockLive(trx, id), request, input.cancellation_details),
  );
}

/** Changes a subscription, and charges what the change costs at once. @throws StripeError */
export async function updateSubscription(
  trx: SandboxTransaction,
  id: string,
  update: Update,
  request?: EventCause,
): Promise<Subscription> {
  const before = await lockObject<Subscription>(trx, 'subscription', id);
  const method = update.default_payment_method;
  if (method) await readMethodOf(trx, toId(before.customer), method, 'default_payment_method');
  const { change, invoice } = await toPlanChange(trx, before, update);
  const after = await changeSubscription(trx, before, { ...toChange(before, update), ...change }, request);
  return invoice ? collectNow(trx, after, invoice, update.payment_behavior, request) : after;
}

async function lockLive(trx: SandboxTransaction, id: string): Promise<Subscription> {
  const subscription = await lockObject<Subscription>(trx, 'subscription', id);
  // As at Stripe, a canceled subscription can be read but not canceled again.
  if (subscription.status === 'canceled') throw resourceMissing('subscription', id);
  return subscription;
}

function toChange(before: Subscription, update: Update): Partial<Subscription> {
  const { cancel_at, cancel_at_period_end, cancellation_details, description, metadata } = update;
  const { default_payment_method, pause_collection } = update;
  const { proration_behavior: _default, ...given } = update;
  const beyond = Object.keys(given).filter((name) => name !== 'metadata' && name !== 'cancellation_details');
  if (before.status === 'canceled' && beyond.length > 0)
    throw invalidRequest('A canceled subscription can only update its cancellation_details and metadata.');
  if (cancel_at && cancel_at_period_end)
    throw invalidRequest('You may only specify one of these parameters: cancel_at, cancel_at_period_end.', {
      param: 'cancel_at',
    });
  return {
    metadata: changeMetadata(before.metadata, metadata),
    ...(default_payment_method !== undefined && { default_payment_method }),
    ...(description !== undefined && { description }),
    ...(pause_collection !== undefined && { pause_collection }),
    ...(cancel_at_period_end !== undefined && cancelAtPeriodEnd(before, cancel_at_period_end)),
    ...(cancel_at !== undefined && cancelAt(cancel_at)),
    ...(cancellation_details && {
      cancellation_details: { ...before.cancellation_details!, ...definedOnly(cancellation_details) },
    }),
  };
}

async function toPlanChange(
  trx: SandboxTransaction,
  before: Subscription,
  { items, proration_behavior, proration_date, billing_cycle_anchor }: Update,
): Promise<FollowedChange> {
  const restart = billing_cycle_anchor === 'now';
  if (items === undefined && !restart) return { change: {} };
  const at = proration_date ?? nowSeconds();
  const period = before.items.data[0];
  if (period && (at < period.current_period_start || at > period.current_period_end))
    throw invalidRequest('The subscription proration_date must be within the current period.', {
      param: 'proration_date',
    });
  const planned = await planItems(trx, before, items ?? [], at);
  return followPlanChange(trx, before, planned, { behavior: proration_behavior, at, restart });
}

function cancelAtPeriodEnd(before: Subscription, cancel: boolean): Partial<Subscription> {
  if (cancel === before.cancel_at_period_end) return {};
  return {
    cancel_at_period_end: cancel,
    cancel_at: cancel ? (before.items.data[0]?.current_period_end ?? null) : null,
    canceled_at: cancel ? nowSeconds() : null,
    cancellation_details: {
      comment: null,
      feedback: null,
      feedback_option: null,
      reason: cancel ? 'cancellation_requested' : null,
    },
  };
}

function cancelAt(at: number | null): Partial<Subscription> {
  if (at !== null && at <= nowSeconds())
    throw invalidRequest('The cancel_at timestamp must be in the future.', { param: 'cancel_at' });
  return { cancel_at: at, cancel_at_period_end: false, canceled_at: at === null ? null : nowSeconds() };
}
