import { type Kysely, sql } from 'kysely';

/** What was asked for beyond the kind of an operation, e.g. the plan of a resize. */
export async function up(database: Kysely<unknown>): Promise<void> {
  await sql`alter table operations add column parameters jsonb not null default '{}'`.execute(database);
}
