import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import type { OperationKind } from './states.ts';

/** The provisions that ended within an hour, or within all hours asked for. */
export interface ProvisionFigures {
  succeeded: number;
  failed: number;
  /** Seconds from the payment (or a person's request) to running, of those that succeeded; null: none did. */
  medianSeconds: number | null;
  /** The 95th percentile of the same. */
  slowSeconds: number | null;
}

export type HourFigures = ProvisionFigures & { hour: Date };

const HOURS = 24;

/** Returns the provisions of the last 24 hours, hour by hour, the oldest first, and all together. */
export async function readProvisionFigures(
  database: Database,
): Promise<{ hours: HourFigures[]; total: ProvisionFigures }> {
  const { rows } = await sql<ProvisionFigures & { hour: Date | null }>`
    with hours as (select generate_series(date_trunc('hour', now()) - make_interval(hours => ${HOURS - 1}),
        date_trunc('hour', now()), interval '1 hour') as hour),
    runs as (
      select date_trunc('hour', o.finished_at) as hour, o.status,
        -- A look-up for each: a join would read all events.
        extract(epoch from o.finished_at - least(o.created_at,
          (select received_at from stripe_events e where e.id = o.stripe_event_id)))::float8 as seconds
      from operations o
      where o.kind = 'provision' and o.status in ('succeeded', 'failed')
        and not exists (select from canary_runs c where c.agent_id = o.agent_id)
        and o.finished_at >= date_trunc('hour', now()) - make_interval(hours => ${HOURS - 1}))
    select h.hour, count(*) filter (where status = 'succeeded')::int as succeeded,
      count(*) filter (where status = 'failed')::int as failed,
      percentile_cont(0.5) within group (order by seconds) filter (where status = 'succeeded') as "medianSeconds",
      percentile_cont(0.95) within group (order by seconds) filter (where status = 'succeeded') as "slowSeconds"
    from hours h left join runs using (hour)
    group by grouping sets ((h.hour), ()) order by h.hour nulls last`.execute(database);
  const hours = rows.filter((row): row is HourFigures => row.hour !== null);
  const { hour: _, ...total } = rows.at(-1)!;
  return { hours, total };
}

/** Operations that failed for the same reason. */
export interface FailureReason {
  kind: OperationKind;
  failedStep: string | null;
  /** What the newest of them said, cut. */
  error: string;
  count: number;
  /** When the newest of them failed. */
  last: Date;
  /** The agent of the newest. */
  agentId: string;
}

/** Long enough to tell reasons apart; the rest is mostly ids. */
const COMPARED_LENGTH = 120;

/**
 * Returns why operations failed within the last 24 hours, the most frequent reason first. Texts that differ
 * only in numbers or in the agent's id are one reason.
 */
export async function listFailureReasons(database: Database, limit: number): Promise<FailureReason[]> {
  const { rows } = await sql<FailureReason>`
    select kind, failed_step as "failedStep", (array_agg(left(error, 300) order by finished_at desc))[1] as error,
      count(*)::int as count, max(finished_at) as last,
      (array_agg(agent_id order by finished_at desc))[1] as "agentId"
    from operations
    where status = 'failed' and finished_at > now() - interval '24 hours'
    group by kind, failed_step,
      translate(replace(left(error, ${COMPARED_LENGTH}), agent_id, ''), '0123456789', '')
    order by count(*) desc, max(finished_at) desc limit ${limit}`.execute(database);
  return rows;
}
