import { type Kysely, sql } from 'kysely';

/** Which sweeps went on without a large fleet's SSH keys: now and then all are listed. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table sweeps add column omitted_keys boolean not null default false`.execute(db);
}
