import { type Kysely, sql } from 'kysely';

/** What a request specifies beyond the kind of operation, e.g. the plan of a resize. */
export async function up(database: Kysely<unknown>): Promise<void> {
  await sql`alter table operations add column parameters jsonb not null default '{}'`.execute(database);
}
