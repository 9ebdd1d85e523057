import { sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import { userIdSchema } from '../agents/new-agent.ts';
import { type AgentRow, getAgent, lockAgent } from '../agents/store.ts';
import type { Transaction } from '../database/connect.ts';
import { ConflictError, NotFoundError } from '../errors.ts';
import type { StripeEvent } from '../stripe/event.ts';
import { isBilledState } from './follow/choose.ts';
import { lockSubscriptions } from './follow/claims.ts';
import { type BillingDecision, interpretEvent } from './interpret-event.ts';
import type { OrderRow } from './orders.ts';
import { insertRecoveredOrder } from './recovered-orders.ts';
import { linkSubscription, signalIds } from './subscriptions.ts';

type Order = Pick<OrderRow, 'agent_id' | 'subscription_id' | 'customer_id' | 'metadata'>;

/** What Stripe says of a session, for an order that a lost database had. */
export type FoundSession = {
  event: StripeEvent;
  order: Extract<BillingDecision, { order: object }>['order'];
};

/** Reads what a session bought; undefined if it bought nothing here, such as one of the other mode. */
export function readFoundSession(
  event: StripeEvent | undefined,
  mode: 'sandbox' | 'live',
): FoundSession | undefined {
  const decision = event && interpretEvent(event, mode);
  return event === undefined || decision === undefined || decision.kind === 'ignore'
    ? undefined
    : { event, order: decision.order };
}

export interface SettledOrder {
  sessionId: string;
  agentId: string;
  actor: string;
  /** What Stripe says of the session, if this database does not have its order. */
  found?: FoundSession | undefined;
}

/**
 * Gives an order without an agent the one that a person has made or named for it: the order no longer needs
 * attention, and its subscription is followed for the agent from now on. Doing it again changes nothing.
 * @throws NotFoundError if there is no such order or agent
 * @throws ConflictError if the order has another agent, or if it is not to be had for this one
 */
export async function settleOrder(trx: Transaction, settled: SettledOrder): Promise<void> {
  const { sessionId, agentId, actor } = settled;
  const order = await lockOrder(trx, settled);
  if (order.agent_id === agentId) return;
  if (order.agent_id !== null)
    throw new ConflictError(`Order ${sessionId} has an agent already: ${order.agent_id}`);
  const { subscription_id: subscriptionId, customer_id: customerId } = order;
  const linkedId = await lockBoth(trx, subscriptionId, agentId);
  refuseForeign(await lockAgent(trx, agentId), order, sessionId);
  if (subscriptionId !== null) {
    if (linkedId !== undefined) await takeOver(trx, subscriptionId, { from: linkedId, to: agentId });
    await linkSubscription(trx, { subscriptionId, agentId, customerId: customerId ?? undefined });
    await trx
      .updateTable('agents')
      .set({ subscription_id: subscriptionId })
      .where('agent_id', '=', agentId)
      .where('subscription_id', 'is', null)
      .execute();
  }
  await trx
    .updateTable('orders')
    .set({ agent_id: agentId, attention: null })
    .where('session_id', '=', sessionId)
    .execute();
  // What a rebuild has said about it (src/recovery/orders.ts).
  await trx
    .deleteFrom('findings')
    .where('source', '=', 'recovery')
    .where('key', '=', `order ${sessionId}`)
    .execute();
  await audit(trx, {
    actor,
    action: 'order.settle',
    agentId,
    details: { sessionId, ...(subscriptionId !== null && { subscriptionId }) },
  });
}

/**
 * Holds a session until the transaction ends, as its events do: one that arrives now waits. Before anything
 * else is locked, so that the two cannot wait for each other.
 */
export async function holdSession(trx: Transaction, sessionId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${sessionId}, 0))`.execute(trx);
}

async function lockOrder(trx: Transaction, { sessionId, found }: SettledOrder): Promise<Order> {
  await holdSession(trx, sessionId);
  const find = () =>
    trx
      .selectFrom('orders')
      .select(['agent_id', 'subscription_id', 'customer_id', 'metadata'])
      .where('session_id', '=', sessionId)
      .executeTakeFirst();
  const known = await find();
  if (known !== undefined) return known;
  if (found !== undefined) {
    await insertRecoveredOrder(trx, found.event, { order: found.order, attention: 'It was lost' });
    const inserted = await find();
    if (inserted !== undefined) return inserted;
  }
  throw new NotFoundError(`There is no order ${sessionId}`);
}

/** A slip of a person's hand must not let one customer pay for another one's agent. */
function refuseForeign(agent: AgentRow, { metadata }: Order, sessionId: string): void {
  const { agent_id: agentId, status, user_id: owner } = agent;
  if (status === 'destroying' || status === 'destroyed')
    throw new ConflictError(`Agent ${agentId} is ${status}`);
  const { data: buyer } = userIdSchema.safeParse(metadata.userId);
  if (buyer !== undefined && buyer !== owner)
    throw new ConflictError(
      `Order ${sessionId} is of user ${buyer}, and agent ${agentId} belongs to user ${owner}`,
    );
}

/**
 * Locks an agent and the one that has its order's subscription, and then their subscriptions, each in the one
 * order in which everything locks them. @returns the id of the other agent, if there is one
 */
async function lockBoth(
  trx: Transaction,
  subscriptionId: string | null,
  agentId: string,
): Promise<string | undefined> {
  if (subscriptionId === null) return undefined;
  const linked = await trx
    .selectFrom('subscriptions')
    .select('agent_id')
    .where('subscription_id', '=', subscriptionId)
    .executeTakeFirst();
  const both = [...new Set([agentId, linked?.agent_id ?? agentId])].sort();
  for (const one of both) await lockAgent(trx, one);
  await lockSubscriptions(trx, both);
  return linked === undefined || linked.agent_id === agentId ? undefined : linked.agent_id;
}

/**
 * Takes a subscription from another agent: a second order that named the first one's agent was linked to it.
 * @throws ConflictError if nothing would be billed for that agent any more: it would be served without being
 * paid, or, if its earlier subscription has ended, taken away from a customer who pays
 */
async function takeOver(
  trx: Transaction,
  subscriptionId: string,
  { from, to }: { from: string; to: string },
): Promise<void> {
  const all = await lockSubscriptions(trx, [from]);
  const taken = all.find((one) => one.subscription_id === subscriptionId);
  if (taken === undefined)
    throw new ConflictError(
      `Subscription ${subscriptionId} has just been linked to another agent. Try again`,
    );
  const others = all.filter((one) => one !== taken);
  const next = others.find(({ state }) => state !== null && isBilledState(state));
  const { status } = await getAgent(trx, from);
  if (next === undefined && status !== 'destroyed')
    throw new ConflictError(
      `Subscription ${subscriptionId} pays for agent ${from}, for which no other is known to be billed. Link the order to it: npm run agents -- orders link SESSION ${from}, instead of to ${to}`,
    );
  await trx.deleteFrom('subscriptions').where('subscription_id', '=', subscriptionId).execute();
  if (next === undefined) return;
  if (taken.governs)
    await trx
      .updateTable('subscriptions')
      .set({ governs: true })
      .where('subscription_id', '=', next.subscription_id)
      .execute();
  await signalIds(
    trx,
    others.map((one) => one.subscription_id),
  );
}
