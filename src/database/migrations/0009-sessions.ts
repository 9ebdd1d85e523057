import { type Kysely, sql } from 'kysely';

/**
 * Dashboard sessions, shared by all API processes, so that signing out ends a session everywhere.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // Only hashes are stored: reading this table does not let anyone sign in.
  `create table sessions (
     id_hash bytea primary key check (octet_length(id_hash) = 32),
     created_at timestamptz not null default now(),
     expires_at timestamptz not null check (expires_at > created_at),
     revoked_at timestamptz check (revoked_at >= created_at))`,
  `create index sessions_expires on sessions (expires_at)`,
];
