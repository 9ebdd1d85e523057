import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';

/** What the loops of a worker look for. */
export type Work =
  | 'audit'
  | 'notices'
  | 'deliveries'
  | 'payments'
  | 'limits'
  | 'operations'
  | 'health'
  | 'canary'
  | 'snapshots'
  | 'drill';

/** In how many seconds each is due; null if nothing waits. */
export type DueIn = Record<Work, number | null> & {
  /** The business time at which payments are due as well. */
  paymentsAt: Date | null;
};

/** Asks with one statement what is there to do, or will be. */
export async function readDueWork(database: Database): Promise<DueIn> {
  const { rows } = await sql<DueIn>`
    select
      (select 0 where exists (select 1 from audit_log where not sealed)) as audit,
      (select 0 where exists (select 1 from notices where not spread)) as notices,
      (select extract(epoch from min(greatest(next_at - business_now(), lease_until - now())))::float8
        from notice_deliveries where status = 'pending') as deliveries,
      least(
        (select ${secondsUntil('min(greatest(retry_at, claimed_until))')} from subscriptions
          where signals > seen_signals),
        (select ${secondsUntil('min(retry_at)')} from unresolved_signals)) as payments,
      (select min(next_at) from subscriptions) as "paymentsAt",
      (select 0 where exists (select 1 from held_changes)
        or exists (select 1 from breakers where tripped_at is not null)
        or (exists (select 1 from breakers where limit_euros is not null) and not exists (
          select 1 from server_prices where fetched_at > business_now() - interval '1 hour'))) as limits,
      least(
        (select ${secondsUntil('min(run_after)')} from operations where status = 'queued'),
        (select ${secondsUntil('min(lease_until)')} from operations where status = 'active')) as operations,
      (select ${secondsUntil('min(coalesce(h.due_at, now()))')} from agents a
        left join health_checks h using (agent_id) where a.status = 'running') as health,
      (select 0 where exists (select 1 from canary_runs where status = 'running')) as canary,
      (select 0 where exists (select 1 from agent_snapshots where status in ('making', 'removing')
        or (status = 'available' and delete_after <= business_now()))) as snapshots,
      least((select 0 where exists (select 1 from snapshot_drills where status = 'running')),
        (select ${secondsUntil('min(removal_due_at)')} from snapshot_drills)) as drill`.execute(database);
  return rows[0]!;
}

const secondsUntil = (time: string) => sql.raw(`extract(epoch from ${time} - now())::float8`);
