import { type Kysely, sql } from 'kysely';

/** New servers have names that say nothing about their agents. Agents from before keep theirs. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // Kept after the agent is destroyed, so that what carries a server's name can always be attributed.
  await sql`create table server_names (
    name text primary key check (name ~ '^[a-z0-9](-?[a-z0-9])*$' and length(name) <= 63),
    owner_id text not null check (length(owner_id) between 1 and 40),
    created_at timestamptz not null default now())`.execute(db);
  await sql`create index server_names_by_owner on server_names (owner_id)`.execute(db);
}
