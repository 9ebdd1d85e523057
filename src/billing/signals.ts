import { agentIdSchema } from '../agents/new-agent.ts';
import { findAgent } from '../agents/store.ts';
import type { Transaction } from '../database/connect.ts';
import type { Order } from '../stripe/checkout.ts';
import type { StripeEvent } from '../stripe/event.ts';
import { readReferences } from '../stripe/event-references.ts';
import { linkSubscription, signalSubscriptions } from './subscriptions.ts';

/**
 * Marks the subscriptions that an event may be about as due for another look, in the transaction that records
 * the event. What has changed is not read from the event, which may be late, doubled or out of order.
 */
export async function signalFromEvent(trx: Transaction, event: StripeEvent): Promise<void> {
  const references = readReferences(event);
  if (references === undefined) return;
  const { subscriptionId, customerId, chargeId } = references;
  await signalSubscriptions(trx, { subscriptionId, customerId });
  if (chargeId === undefined) return;
  // A call to Stripe inside the transaction would delay the answer: a worker makes it.
  await trx
    .insertInto('unresolved_signals')
    .values({ stripe_event_id: event.id, charge_id: chargeId })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Links the agent that an order has created to the order's subscription. */
export async function linkOrder(trx: Transaction, order: Order, agentId: string): Promise<void> {
  const { subscriptionId, customerId } = order;
  if (subscriptionId !== undefined) await linkSubscription(trx, { subscriptionId, agentId, customerId });
}

/**
 * Links a further subscription that somebody bought for an agent of theirs. The order needs a person, and the
 * agent is not harmed while any of its subscriptions is paid. An order of another customer and another user
 * is not linked.
 */
export async function linkFurtherOrder(trx: Transaction, order: Order): Promise<void> {
  const { userId } = order.metadata;
  const { data: agentId } = agentIdSchema.safeParse(order.metadata.agentId);
  if (agentId === undefined || order.subscriptionId === undefined) return;
  const agent = await findAgent(trx, agentId);
  if (agent === undefined || agent.status === 'destroyed' || agent.status === 'destroying') return;
  if (agent.user_id !== userId && !(await isCustomerOf(trx, agentId, order.customerId))) return;
  await linkOrder(trx, order, agentId);
}

async function isCustomerOf(
  trx: Transaction,
  agentId: string,
  customerId: string | undefined,
): Promise<boolean> {
  if (customerId === undefined) return false;
  const row = await trx
    .selectFrom('subscriptions')
    .select('subscription_id')
    .where('agent_id', '=', agentId)
    .where('customer_id', '=', customerId)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
