import type { Transaction } from '../database/connect.ts';
import { jsonText } from '../database/storable.ts';
import type { Order } from '../stripe/checkout.ts';
import type { StripeEvent } from '../stripe/event.ts';

/** Stores an order that this database has lost, with an event that says what Stripe says of its session. */
export async function insertRecoveredOrder(
  trx: Transaction,
  event: StripeEvent,
  { order, ...result }: { order: Order } & ({ agentId: string } | { attention: string }),
): Promise<void> {
  await trx
    .insertInto('stripe_events')
    .values({
      id: event.id,
      type: event.type,
      livemode: event.livemode,
      object_id: order.sessionId,
      payload: jsonText(event.payload),
      outcome: 'acted',
      reason: 'Its own event was lost with the database: this is what Stripe says of its session',
      created_at: event.createdAt,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  await trx
    .insertInto('orders')
    .values({
      session_id: order.sessionId,
      stripe_event_id: event.id,
      agent_id: 'agentId' in result ? result.agentId : null,
      attention: 'attention' in result ? result.attention : null,
      subscription_id: order.subscriptionId ?? null,
      customer_id: order.customerId ?? null,
      metadata: jsonText(order.metadata),
      created_at: event.createdAt,
    })
    .execute();
}
