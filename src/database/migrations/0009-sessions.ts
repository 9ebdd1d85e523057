import { type Kysely, sql } from 'kysely';

/**
 * Who is signed in to the dashboard: shared by every API process, so that signing out ends a session
 * everywhere.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // What the cookie holds is in no table: whoever reads this one can sign in as nobody.
  `create table sessions (
     id_hash bytea primary key check (octet_length(id_hash) = 32),
     created_at timestamptz not null default now(),
     expires_at timestamptz not null check (expires_at > created_at),
     revoked_at timestamptz check (revoked_at >= created_at))`,
  `create index sessions_expires on sessions (expires_at)`,
];
