import { type Kysely, sql } from 'kysely';

/** In which cycle of sweeps a mismatch was last seen: a cycle that lists everything shows which have gone. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table findings add column seen_in bigint check (seen_in > 0)`.execute(db);
}
