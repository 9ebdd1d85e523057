import { type Kysely, sql } from 'kysely';

/** Slots count as failed by when they failed, ceilings are everybody's, and each look reads few slots. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // When it turned out that it could not be made or handed over, or fell silent soon after it was ready.
  `alter table slots add column failed_at timestamptz`,
  // The time of the last write is the nearest that is known.
  `update slots set failed_at = coalesce(ended_at, updated_at)
     where failure_code in ('not_made', 'not_handed_over') and updated_at > now() - interval '1 hour'`,
  // Since when there is an error.
  `alter table pools add column error_since timestamptz`,
  // What all slots together may cost by the worker's configuration; null: no ceiling.
  `alter table pool_demands add column euros_per_hour numeric(12, 4) check (euros_per_hour >= 0)`,

  // Each look counts what failed in a pool, and what was made and served at all, within the last hour.
  `create index slots_failed on slots (project, location, plan, failed_at) where failed_at is not null`,
  `create index slots_created on slots (created_at)`,
  `create index slots_served_at on slots (served_at) where served_at is not null`,
];
