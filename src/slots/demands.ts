import { type RawBuilder, sql } from 'kysely';
import type { Database, Transaction } from '../database/connect.ts';
import type { PoolName } from './slots.ts';

/** A pool as a worker wants it to be now. */
export interface WantedPool extends PoolName {
  size: number;
  /** What a slot must have been made by and from. */
  fingerprint: string;
}

/** A worker that has not repeated its demand for this long hands no slot over. */
const LIVE_SECONDS = 20;
/**
 * Where a worker has said within this time what it wants, only what such workers want is claimed: they say
 * so every second, and one that was killed must not keep for sale what the others no longer are, be it older
 * or, after a rollback, newer.
 */
const PRESENT_SECONDS = 3;
/** A worker that has stopped without a word may come back as it was: so long its slots are kept for it. */
const KEPT_SECONDS = 120;

/** Whether a row of `pool_demands` is that of a worker that hands slots over now, in SQL. */
export const isLive: RawBuilder<boolean> = sql<boolean>`(${seenWithin(LIVE_SECONDS)}
  and coalesce((select executor from installation), 'local') = 'local')`;
/** Whether a row of `pool_demands` is that of a worker that surely lives, in SQL. */
export const isPresent: RawBuilder<boolean> = seenWithin(PRESENT_SECONDS);
/** Whether a row of `pool_demands` is that of a worker that is there, or was just now, in SQL. */
export const isKept: RawBuilder<boolean> = seenWithin(KEPT_SECONDS);

function seenWithin(seconds: number): RawBuilder<boolean> {
  return sql<boolean>`(seen_at > now() - make_interval(secs => ${sql.lit(seconds)}))`;
}

/**
 * Records what a worker wants now, in place of what it wanted before. A fingerprint that another worker wants
 * too is as old as that one's demand, so that a worker of the old release that starts again is not the
 * newest. `eurosPerHour`: what all slots together may cost by its configuration.
 */
export async function recordDemands(
  database: Database,
  workerId: string,
  wanted: readonly WantedPool[],
  eurosPerHour: number | null = null,
): Promise<void> {
  await sql`
    with given as (
      select * from jsonb_to_recordset(${JSON.stringify(wanted)}::jsonb)
        as given (project text, location text, plan text, size int, fingerprint text)),
    withdrawn as (
      delete from pool_demands w where (worker_id = ${workerId} and not exists (
        select 1 from given g where (g.project, g.location, g.plan) = (w.project, w.location, w.plan)))
        or (worker_id <> ${workerId} and not ${isKept}))
    insert into pool_demands as known
      (worker_id, project, location, plan, size, fingerprint, euros_per_hour, since)
    select ${workerId}, g.project, g.location, g.plan, g.size, g.fingerprint, ${eurosPerHour}, coalesce((select min(w.since)
      from pool_demands w where (w.project, w.location, w.plan, w.fingerprint)
        = (g.project, g.location, g.plan, g.fingerprint)), now())
    from given g
    on conflict (project, location, plan, worker_id) do update set size = excluded.size,
      fingerprint = excluded.fingerprint, euros_per_hour = excluded.euros_per_hour, since = excluded.since,
      seen_at = now()`.execute(database);
}

/**
 * What all slots together may cost, in euros an hour: the lowest that a worker with a demand allows, so that
 * one without a ceiling, or of an earlier configuration, makes no more. Infinity without any.
 */
export async function readCeiling(database: Database): Promise<number> {
  const { rows } = await sql<{ euros: number | null }>`
    select min(euros_per_hour)::float8 as euros from pool_demands where ${isKept}`.execute(database);
  return rows[0]?.euros ?? Infinity;
}

/** A worker that stops wants nothing any more. If the database is unavailable, its silence has to do. */
export async function withdrawDemands(database: Database, workerId: string): Promise<void> {
  await database
    .deleteFrom('pool_demands')
    .where('worker_id', '=', workerId)
    .execute()
    .catch(() => {});
}

/**
 * Brings `pools` in line with all demands: where they differ, the newest fingerprint counts. Pools that no
 * worker wants any more are empty. @returns those that some worker wants
 */
export async function mergeDemands(trx: Transaction): Promise<WantedPool[]> {
  const { rows } = await sql<WantedPool>`
    with prints as (
      select project, location, plan, fingerprint, max(size) as size, max(since) as since from pool_demands
      where ${isKept} group by project, location, plan, fingerprint),
    wanted as (
      select distinct on (project, location, plan) * from prints
      order by project, location, plan, since desc, fingerprint),
    emptied as (
      update pools p set size = 0 where size > 0 and not exists (
        select 1 from wanted w where (w.project, w.location, w.plan) = (p.project, p.location, p.plan)))
    insert into pools as known (project, location, plan, size, fingerprint)
    select project, location, plan, size, fingerprint from wanted
    on conflict (project, location, plan) do update
      set size = excluded.size, fingerprint = excluded.fingerprint, seen_at = now()
    returning project, location, plan, size, fingerprint`.execute(trx);
  return rows;
}
