import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Database } from '../../database/connect.ts';
import { listSubscriptions, type SubscriptionSummary } from '../../stripe/subscription.ts';
import { signalIds } from '../subscriptions.ts';
import { alone, lastRun, recordRun } from './alone.ts';
import { type ComparedAgent, type ComparedLink, type Comparison, compareAll } from './compare.ts';
import type { FollowDeps } from './deps.ts';
import { replaceFindings } from './findings.ts';

const NAME = 'nightly comparison';
/** An order's event may arrive a little later than its subscription is listed. */
const GRACE_SECONDS = 60;
/** How often to look meanwhile whether it has arrived. */
const GRACE_LOOK_SECONDS = 5;

/**
 * Once a day of the business, after midnight UTC, compares all subscriptions with all agents by list calls.
 * It finds what no event has told, and what does not fit.
 * @returns undefined if it was not time
 */
export async function compareNightly(
  deps: FollowDeps,
  signal?: AbortSignal,
): Promise<Comparison | undefined> {
  const now = deps.clock.now();
  const last = await lastRun(deps.database, NAME);
  if (last !== undefined && dayOf(last.businessAt) === dayOf(now)) return undefined;
  return alone(deps.database, NAME, async () => {
    const comparison = await compareNow(deps, { signal });
    await recordRun(deps.database, NAME, now);
    const { findings, changed } = comparison;
    deps.log.info(
      { event: 'billing.compared', findings: findings.length, changed: changed.length },
      'compared all subscriptions with all agents',
    );
    return comparison;
  });
}

const dayOf = (date: Date) => date.toISOString().slice(0, 10);

/** Compares at once, whatever the time. */
export async function compareNow(
  deps: FollowDeps,
  { graceSeconds = GRACE_SECONDS, signal }: { graceSeconds?: number; signal?: AbortSignal | undefined } = {},
): Promise<Comparison> {
  const { database, clock, stripe, events } = deps;
  // The list first: an agent that is bought meanwhile has its row by the time the rows are read.
  const listed = new Map<string, SubscriptionSummary>();
  for await (const one of listSubscriptions(stripe))
    if (events === 'sandbox' || one.livemode) listed.set(one.subscriptionId, one);
  const compare = async () =>
    compareAll(listed, await readAgents(database), await readLinks(database, clock.now()));
  let comparison = await compare();
  for (let left = graceSeconds; left > 0 && comparison.findings.length > 0; left -= GRACE_LOOK_SECONDS) {
    await sleep(Math.min(left, GRACE_LOOK_SECONDS) * 1000, undefined, { signal });
    comparison = await compare();
  }
  await database.transaction().execute(async (trx) => {
    await signalIds(trx, comparison.changed);
    await replaceFindings(trx, { source: 'nightly' }, comparison.findings, clock.now());
  });
  return comparison;
}

async function readAgents(database: Database): Promise<ComparedAgent[]> {
  const { rows } = await sql<ComparedAgent>`
    select a.agent_id as "agentId", a.status,
      a.health = 'unhealthy' and exists (select 1 from audit_log l where l.agent_id = a.agent_id
        and l.action = 'sweep.server-gone' and l.at >= a.unhealthy_since) as "isServerGone"
    from agents a where a.status not in ('destroying', 'destroyed')`.execute(database);
  return rows;
}

async function readLinks(database: Database, now: Date): Promise<ComparedLink[]> {
  const rows = await database
    .selectFrom('subscriptions')
    .select([
      'subscription_id',
      'agent_id',
      'view',
      'state',
      'demand',
      sql<boolean>`signals > seen_signals or coalesce(next_at <= ${now}, false)`.as('isDue'),
      sql<boolean>`coalesce(suspend_at > ${now}, false)`.as('stopsLater'),
    ])
    .execute();
  return rows.map((row) => ({
    subscriptionId: row.subscription_id,
    agentId: row.agent_id,
    view: row.view,
    state: row.state,
    demand: row.demand,
    isDue: row.isDue,
    stopsLater: row.stopsLater,
  }));
}
