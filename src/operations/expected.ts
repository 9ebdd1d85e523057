import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import { type Way, wayOfOperation } from './ledger.ts';

/** How long it took others, from the payment to running. */
export interface ExpectedSeconds {
  way: Way;
  /** How many were looked at. */
  count: number;
  median: number;
  /** The 95th percentile. */
  slow: number;
}

/** As many of the newest as say something about now. */
const LOOKED_AT = 200;
/** Fewer say nothing. */
const FEWEST = 3;

/** Buyers look every few seconds, and what others took hardly changes. */
const KEPT_MS = 60_000;
/** A bound for memory: there are a few plans, and two ways. */
const MOST_KEPT = 100;

/**
 * Returns a function that says what an agent's way to running takes, from the newest provisions of its plan
 * that went the same way: with a server that waited, or with a new one. Undefined where there are too few of
 * them. An answer is kept for a minute in this process, for all agents of the plan and way.
 */
export function createExpectedSeconds(
  database: Database,
  now: () => number = Date.now,
): (agent: { agentId: string; plan: string }) => Promise<ExpectedSeconds | undefined> {
  const kept = new Map<string, { until: number; expected: Promise<ExpectedSeconds | undefined> }>();
  return async ({ agentId, plan }) => {
    const way = await readWay(database, agentId);
    const key = `${way} ${plan}`;
    const known = kept.get(key);
    if (known !== undefined && known.until > now()) return known.expected;
    if (kept.size >= MOST_KEPT) kept.clear();
    const expected = readExpectedSeconds(database, { plan, way });
    kept.set(key, { until: now() + KEPT_MS, expected });
    // A database that was away for a moment must not be an answer for a minute.
    expected.catch(() => kept.delete(key));
    return expected;
  };
}

async function readWay(database: Database, agentId: string): Promise<Way> {
  const slot = await database
    .selectFrom('slots')
    .select('slot_id')
    .where('agent_id', '=', agentId)
    .limit(1)
    .executeTakeFirst();
  return slot === undefined ? 'cold' : 'warm';
}

async function readExpectedSeconds(
  database: Database,
  { plan, way }: { plan: string; way: Way },
): Promise<ExpectedSeconds | undefined> {
  const { rows } = await sql<ExpectedSeconds>`
    with recent as (
      select ${wayOfOperation} as way, extract(epoch from o.finished_at - least(o.created_at,
          (select received_at from stripe_events e where e.id = o.stripe_event_id)))::float8 as seconds
      from operations o join agents a using (agent_id)
      where o.kind = 'provision' and o.status = 'succeeded' and o.finished_at is not null
        and a.plan = ${plan}
      order by o.finished_at desc limit ${LOOKED_AT})
    select way, count(*)::int as count, percentile_cont(0.5) within group (order by seconds) as median,
      percentile_cont(0.95) within group (order by seconds) as slow
    from recent where way = ${way} group by way having count(*) >= ${FEWEST}`.execute(database);
  return rows[0];
}
