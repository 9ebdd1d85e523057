import { z } from 'zod';
import type { Queryable } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest, parseParameters, resourceMissing } from './errors.ts';
import { listObjects, readObject } from './objects.ts';
import {
  boolean,
  changeMetadata,
  createdRange,
  integer,
  metadataChange,
  pageParameters,
} from './parameters.ts';
import { cancelSubscription, changeSubscription } from './subscription-changes.ts';
import { listOf, nowSeconds, type Subscription } from './wire.ts';

const statuses = ['active', 'past_due', 'unpaid', 'canceled', 'paused', 'trialing', 'incomplete'] as const;

const listParameters = pageParameters.extend({
  created: createdRange,
  customer: z.string().optional(),
  status: z.enum([...statuses, 'all', 'ended']).optional(),
});

const updateParameters = z.object({
  cancel_at_period_end: boolean.optional(),
  metadata: metadataChange,
  pause_collection: z
    .union([
      z.literal('').transform(() => null),
      z.object({
        behavior: z.enum(['keep_as_draft', 'mark_uncollectible', 'void']),
        resumes_at: integer.nullable().default(null),
      }),
    ])
    .optional(),
});

export function mountSubscriptions(endpoints: Endpoints): void {
  endpoints.get('/subscriptions', async (db, { input }) => {
    const { created, customer, status, ...page } = parseParameters(listParameters, input);
    const { data, hasMore } = await listObjects<Subscription>(db, 'subscription', {
      filter: { customer, ...statusFilter(status) },
      // Without a status, a list holds all that have not ended.
      ...(status === undefined && { except: { status: 'canceled' } }),
      created,
      page,
    });
    return listOf('/v1/subscriptions', data, hasMore);
  });
  endpoints.get('/subscriptions/:id', (db, { id }) => readObject<Subscription>(db, 'subscription', id));
  endpoints.post('/subscriptions/:id', async (db, { id, input, request }) => {
    const parameters = parseParameters(updateParameters, input);
    const before = await readObject<Subscription>(db, 'subscription', id, { lock: true });
    return changeSubscription(db, before, changeOf(before, parameters), request);
  });
  endpoints.delete('/subscriptions/:id', async (db, { id, request }) =>
    cancelSubscription(db, await readLive(db, id), request),
  );
}

async function readLive(db: Queryable, id: string): Promise<Subscription> {
  const subscription = await readObject<Subscription>(db, 'subscription', id, { lock: true });
  // As Stripe: a subscription that has ended can be read, and is unknown to those who would end it.
  if (subscription.status === 'canceled') throw resourceMissing('subscription', id);
  return subscription;
}

function changeOf(
  before: Subscription,
  { cancel_at_period_end, metadata, pause_collection }: z.output<typeof updateParameters>,
): Partial<Subscription> {
  const onlyMetadata = cancel_at_period_end === undefined && pause_collection === undefined;
  if (before.status === 'canceled' && !onlyMetadata)
    throw invalidRequest('A canceled subscription can only update its cancellation_details and metadata.');
  return {
    metadata: changeMetadata(before.metadata, metadata),
    ...(pause_collection !== undefined && { pause_collection }),
    ...(cancel_at_period_end !== undefined && cancellationAtPeriodEnd(before, cancel_at_period_end)),
  };
}

function cancellationAtPeriodEnd(before: Subscription, cancel: boolean): Partial<Subscription> {
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

function statusFilter(status: z.output<typeof listParameters>['status']): { status?: string } {
  if (status === undefined || status === 'all') return {};
  return { status: status === 'ended' ? 'canceled' : status };
}
