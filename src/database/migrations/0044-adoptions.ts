import { type Kysely, sql } from 'kysely';

/**
 * Servers that were made by hand. A row is there before anything of its server is changed, and stays: until
 * the adoption is complete, and after it was given up, the server is its owner's, whatever its labels say.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create table adoptions (
     agent_id text primary key references agents (agent_id),
     project text not null,
     server_id text not null check (server_id ~ '^[0-9]{1,19}$'),
     status text not null default 'pending' check (status in ('pending', 'adopted', 'given-back')),
     begun_at timestamptz not null default now(),
     ended_at timestamptz,
     check ((status = 'pending') = (ended_at is null)))`,
  // Two agents can never adopt one server.
  `create unique index adoptions_server on adoptions (server_id) where status <> 'given-back'`,
];
