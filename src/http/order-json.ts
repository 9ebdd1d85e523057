import { z } from 'zod';
import type { OrderRow } from '../billing/orders.ts';

export const orderJson = z
  .object({
    sessionId: z.string(),
    agentId: z.string().nullable(),
    attention: z.string().nullable().meta({ description: 'Why the order has no agent' }),
    subscriptionId: z.string().nullable(),
    customerId: z.string().nullable(),
    stripeEventId: z.string(),
    metadata: z.record(z.string(), z.unknown()),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Order' });

export type OrderJson = z.input<typeof orderJson>;

export function toOrderJson(row: OrderRow): OrderJson {
  return {
    sessionId: row.session_id,
    agentId: row.agent_id,
    attention: row.attention,
    subscriptionId: row.subscription_id,
    customerId: row.customer_id,
    stripeEventId: row.stripe_event_id,
    metadata: row.metadata,
    createdAt: row.created_at.toISOString(),
  };
}
