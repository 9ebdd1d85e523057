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

/**
 * Returns what an agent's way to running takes, from the newest provisions of its plan that went the same
 * way: with a server that waited, or with a new one. Undefined where there are too few of them.
 */
export async function readExpectedSeconds(
  database: Database,
  agent: { agentId: string; plan: string },
): Promise<ExpectedSeconds | undefined> {
  const { rows } = await sql<Omit<ExpectedSeconds, 'way'> & { way: Way }>`
    with recent as (
      select ${wayOfOperation} as way, extract(epoch from o.finished_at - least(o.created_at,
          (select received_at from stripe_events e where e.id = o.stripe_event_id)))::float8 as seconds
      from operations o join agents a using (agent_id)
      where o.kind = 'provision' and o.status = 'succeeded' and o.finished_at is not null
        and a.plan = ${agent.plan}
      order by o.finished_at desc limit ${LOOKED_AT}),
    own as (select case when exists (select 1 from slots s where s.agent_id = ${agent.agentId})
      then 'warm' else 'cold' end as way)
    select way, count(*)::int as count, percentile_cont(0.5) within group (order by seconds) as median,
      percentile_cont(0.95) within group (order by seconds) as slow
    from recent join own using (way) group by way having count(*) >= ${FEWEST}`.execute(database);
  return rows[0];
}
