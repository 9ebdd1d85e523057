import { findAgent, type NewAgent } from '../agents/store.ts';
import { type BillingDecision, interpretEvent } from '../billing/interpret-event.ts';
import { insertRecoveredOrder } from '../billing/recovered-orders.ts';
import { linkFurtherOrder } from '../billing/signals.ts';
import { linkSubscription } from '../billing/subscriptions.ts';
import type { PlanRules } from '../config/plans.ts';
import type { Database, Transaction } from '../database/connect.ts';
import type { StripeEvent } from '../stripe/event.ts';
import { listCompletedSessions } from '../stripe/list-sessions.ts';
import type { StripeAccount } from '../stripe/stripe.ts';
import { listSubscriptions, type SubscriptionSummary } from '../stripe/subscription.ts';
import type { Unclear } from './plan.ts';

/** What Stripe says was bought. */
export interface Bought {
  /** Paid orders for agents, the oldest first. */
  orders: { event: StripeEvent; decision: Extract<BillingDecision, { kind: 'provision' }> }[];
  subscriptions: Map<string, SubscriptionSummary>;
}

export interface OrderDeps {
  stripe: StripeAccount;
  mode: 'sandbox' | 'live';
  plans?: Pick<PlanRules, 'metadata'> | undefined;
}

/** Lists all completed checkout sessions and all subscriptions, a hundred a call. */
export async function readBought({ stripe, mode, plans }: OrderDeps): Promise<Bought> {
  const orders: Bought['orders'] = [];
  for await (const event of listCompletedSessions(stripe)) {
    const decision = interpretEvent(event, mode, plans);
    if (decision.kind === 'provision') orders.push({ event, decision });
  }
  const subscriptions = new Map<string, SubscriptionSummary>();
  for await (const one of listSubscriptions(stripe))
    if (mode === 'sandbox' || one.livemode) subscriptions.set(one.subscriptionId, one);
  orders.sort((one, other) => one.event.createdAt.getTime() - other.event.createdAt.getTime());
  return { orders, subscriptions };
}

/**
 * Links the agents that exist again to their orders and subscriptions, so that both are followed as before.
 * An order whose subscription has ended and whose agent is gone keeps its agent's id from being used again.
 * @param isNamed whether something at the clouds names an agent, so that it may exist without a row
 * @returns what is paid for and has no agent: its event may still come, and a person may know why
 */
export async function restoreOrders(
  database: Database,
  bought: Bought,
  isNamed: (agentId: string) => boolean,
): Promise<{ restored: number; unclear: Unclear[] }> {
  let restored = 0;
  const unclear: Unclear[] = [];
  const mayExist = (agentId: string) => isNamed(agentId) || isPaid(bought, agentId);
  for (const order of bought.orders) {
    const result = await database
      .transaction()
      .execute((trx) => restoreOrder(trx, order, { subscriptions: bought.subscriptions, mayExist }));
    if (result === 'restored') restored += 1;
    else if (result !== 'known') unclear.push(result);
  }
  await linkOthers(database, bought.subscriptions);
  return { restored, unclear };
}

async function restoreOrder(
  trx: Transaction,
  { event, decision: { order, agent } }: Bought['orders'][number],
  { subscriptions, mayExist }: Pick<Bought, 'subscriptions'> & { mayExist: (agentId: string) => boolean },
): Promise<'restored' | 'known' | Unclear> {
  const { sessionId, subscriptionId, customerId } = order;
  const known = await trx
    .selectFrom('orders')
    .select('session_id')
    .where((row) => row.or([row('session_id', '=', sessionId), row('agent_id', '=', agent.agentId)]))
    .executeTakeFirst();
  if (known !== undefined) {
    if (known.session_id !== sessionId) await linkFurtherOrder(trx, order);
    return 'known';
  }
  const own = await findAgent(trx, agent.agentId);
  if (own === undefined && !isOver(subscriptionId, subscriptions)) return withoutAgent(order, agent.agentId);
  if (own === undefined && mayExist(agent.agentId)) return notKnown(order, agent.agentId);
  if (own !== undefined && own.user_id !== agent.userId) return ofAnother(order, agent.agentId);
  if (own === undefined) await insertDestroyed(trx, agent);
  else if (subscriptionId !== undefined && own.status !== 'destroyed')
    await linkSubscription(trx, { subscriptionId, agentId: agent.agentId, customerId });
  await insertRecoveredOrder(trx, event, { order, agentId: agent.agentId });
  return 'restored';
}

/** An id is never used again, also if all that is known of its agent is that it was once paid for. */
async function insertDestroyed(trx: Transaction, agent: NewAgent): Promise<void> {
  const { agentId, userId, region, location, plan, subscriptionId = null } = agent;
  await trx
    .insertInto('agents')
    .values({
      agent_id: agentId,
      user_id: userId,
      region,
      location,
      plan,
      subscription_id: subscriptionId,
      status: 'destroyed',
      step: null,
    })
    .execute();
}

/** Whether nothing is billed any more. A payment without a subscription may be for good. */
function isOver(subscriptionId: string | undefined, subscriptions: Bought['subscriptions']): boolean {
  const status = subscriptions.get(subscriptionId ?? '')?.status;
  return status === 'canceled' || status === 'incomplete_expired';
}

/** Whether another order of the agent, or a subscription that names it, is still paid. */
function isPaid({ orders, subscriptions }: Bought, agentId: string): boolean {
  const isBilled = (subscriptionId: string | undefined) => !isOver(subscriptionId, subscriptions);
  return (
    orders.some(
      ({ decision: { order, agent } }) => agent.agentId === agentId && isBilled(order.subscriptionId),
    ) ||
    [...subscriptions.values()].some(
      ({ metadata, subscriptionId }) => metadata.agentId === agentId && isBilled(subscriptionId),
    )
  );
}

const withoutAgent = (
  { sessionId, subscriptionId }: { sessionId: string; subscriptionId: string | undefined },
  agentId: string,
): Unclear => ({
  key: `order ${sessionId}`,
  agentId: null,
  cause: `Order ${sessionId} of agent ${agentId} is paid${subscriptionId === undefined ? '' : ` by ${subscriptionId}`}, and the agent was not found again.`,
  cure: 'Look first whether its server is at Hetzner. If its event was not answered yet, Stripe delivers it again and the agent is made. Otherwise create the agent for its order (npm run agents -- create … --order SESSION), or cancel the subscription and refund it.',
});

const notKnown = ({ sessionId }: { sessionId: string }, agentId: string): Unclear => ({
  key: `order ${sessionId}`,
  agentId: null,
  cause: `Order ${sessionId} of agent ${agentId} has ended, and the agent may exist: something at the clouds names it, or it is paid by another order.`,
  cure: 'Find out whether its server is at Hetzner. If so, restore a backup or adopt it with its key; otherwise cancel what is still paid and refund it.',
});

const ofAnother = ({ sessionId }: { sessionId: string }, agentId: string): Unclear => ({
  key: `order ${sessionId}`,
  agentId,
  cause: `Order ${sessionId} names agent ${agentId}, which is another user’s.`,
  cure: 'Ask its customer what it is for; create the agent under another id (npm run agents -- create … --order SESSION), or refund it.',
});

/** Subscriptions that name their agent themselves, or that an agent's record names. */
async function linkOthers(database: Database, subscriptions: Bought['subscriptions']): Promise<void> {
  const agents = await database
    .selectFrom('agents')
    .select(['agent_id', 'subscription_id'])
    .where('status', '<>', 'destroyed')
    .execute();
  const bySubscription = new Map(agents.map((row) => [row.subscription_id, row.agent_id]));
  const unlinked = new Set(agents.filter((row) => row.subscription_id === null).map((row) => row.agent_id));
  for (const { subscriptionId, customerId, metadata } of subscriptions.values()) {
    const { agentId: name } = metadata;
    const named = name !== undefined && unlinked.has(name) ? name : undefined;
    const agentId = bySubscription.get(subscriptionId) ?? named;
    if (agentId === undefined) continue;
    await database
      .transaction()
      .execute((trx) => linkSubscription(trx, { subscriptionId, agentId, customerId }));
  }
}
