import { type Selectable, sql } from 'kysely';
import type { SubscriptionTable } from '../database/billing-tables.ts';
import type { Database, Transaction } from '../database/connect.ts';

export type SubscriptionRow = Selectable<SubscriptionTable>;

/** A subscription that pays for an agent, as its checkout session named it. */
export interface SubscriptionLink {
  subscriptionId: string;
  agentId: string;
  customerId: string | undefined;
}

/**
 * Records that a subscription pays for an agent. An agent can have several; its first one counts until they
 * were read. A subscription that is linked already keeps its agent. Its state is looked at next.
 */
export async function linkSubscription(trx: Transaction, link: SubscriptionLink): Promise<void> {
  const { subscriptionId, agentId, customerId } = link;
  await sql`with known as (delete from findings where subscription_id = ${subscriptionId})
    insert into subscriptions (subscription_id, agent_id, customer_id, governs)
    values (${subscriptionId}, ${agentId}, ${customerId ?? null},
      not exists (select 1 from subscriptions other where other.agent_id = ${agentId}))
    on conflict (subscription_id) do nothing`.execute(trx);
}

/** Links the subscriptions of agents that an earlier version, or one without this link, has made. */
export async function linkKnownAgents(database: Database): Promise<void> {
  await sql`insert into subscriptions (subscription_id, agent_id, customer_id)
    select distinct on (a.subscription_id) a.subscription_id, a.agent_id, o.customer_id
    from agents a left join orders o on o.agent_id = a.agent_id and o.subscription_id = a.subscription_id
    where a.subscription_id is not null and a.status <> 'destroyed'
      and not exists (select 1 from subscriptions s where s.agent_id = a.agent_id)
    order by a.subscription_id, a.created_at desc
    on conflict do nothing`.execute(database);
}

/** Whose subscriptions have to be looked at again. */
export interface SignalTarget {
  subscriptionId?: string | undefined;
  customerId?: string | undefined;
}

/**
 * Marks the linked subscriptions that a target names as due for another look: one subscription, or all of a
 * customer. One that is not linked is ignored, because it is looked at once it is.
 */
export async function signalSubscriptions(trx: Transaction, target: SignalTarget): Promise<void> {
  const { subscriptionId, customerId } = target;
  if (subscriptionId !== undefined) return signalIds(trx, [subscriptionId]);
  if (customerId === undefined) return;
  const rows = await trx
    .selectFrom('subscriptions')
    .select('subscription_id')
    .where('customer_id', '=', customerId)
    .execute();
  await signalIds(
    trx,
    rows.map((row) => row.subscription_id),
  );
}

/** Marks linked subscriptions as due for another look. */
export async function signalIds(trx: Transaction, subscriptionIds: readonly string[]): Promise<void> {
  if (subscriptionIds.length === 0) return;
  // Locked in one order, so that two signals cannot wait for each other.
  // One that is due already keeps its place among those that wait.
  await sql`update subscriptions set signals = signals + 1, retry_at = now(),
      signalled_at = case when signals > seen_signals then signalled_at else now() end
    where subscription_id in (select subscription_id from subscriptions
      where subscription_id = any(${[...subscriptionIds]}::text[])
      order by subscription_id for no key update)`.execute(trx);
}

/** The agents' governing subscriptions by agent id; without those that were never looked at. */
export async function readBilling(
  database: Database,
  agentIds: readonly string[],
): Promise<Map<string, SubscriptionRow>> {
  if (agentIds.length === 0) return new Map();
  const rows = await database
    .selectFrom('subscriptions')
    .selectAll()
    .where('agent_id', 'in', [...agentIds])
    .where('governs', '=', true)
    .where('state', 'is not', null)
    .execute();
  return new Map(rows.map((row) => [row.agent_id, row]));
}
