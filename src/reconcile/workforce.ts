import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';

/** The workers of this installation, as they last reported. */
export interface Workforce {
  /** How many are running. */
  workers: number;
  /** How many operations they can run concurrently, and (`active`) how many they run now. */
  slots: number;
  active: number;
  /** When a worker was last seen; null if none is known. */
  lastSeenAt: Date | null;
}

/** Workers report every 2 s. One that is silent this long has died or cannot reach the database. */
const SILENT_SECONDS = 10;

export async function readWorkforce(database: Database): Promise<Workforce> {
  const { rows } = await sql<Workforce>`
    with running as (select * from workers where seen_at > now() - make_interval(secs => ${SILENT_SECONDS}))
    select (select count(*) from running)::int as workers,
      (select coalesce(sum(concurrency), 0) from running)::int as slots,
      (select count(*) from operations where status = 'active' and executor = 'local')::int as active,
      (select max(seen_at) from workers) as "lastSeenAt"`.execute(database);
  return rows[0]!;
}

/**
 * Deletes workers that were silent for an hour, but keeps the last of all, to report when it was last seen.
 */
export async function removeStaleWorkers(database: Database): Promise<void> {
  await sql`
    delete from workers where seen_at < now() - interval '1 hour'
      and seen_at < (select max(seen_at) from workers)`.execute(database);
}
