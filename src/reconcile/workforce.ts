import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';

/** The workers of this installation, as they last reported. */
export interface Workforce {
  /** How many are running. */
  workers: number;
  /** Operations that they can carry out at once, and that they do now. */
  slots: number;
  active: number;
  /** When any worker was last seen; null where none is known. */
  lastSeenAt: Date | null;
}

/** A worker reports every 2 s; one that was silent for so long does not run, or cannot reach the database. */
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
 * Forgets workers that were silent for an hour; the last one of all is kept, so that it can be said when
 * there was one.
 */
export async function removeStaleWorkers(database: Database): Promise<void> {
  await sql`
    delete from workers where seen_at < now() - interval '1 hour'
      and seen_at < (select max(seen_at) from workers)`.execute(database);
}
