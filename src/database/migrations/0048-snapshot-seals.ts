import { type Kysely, sql } from 'kysely';

/** Whose disk an agent's snapshot holds is sealed in its labels, and sealed again for another passphrase. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table agent_snapshots
     -- The key that its labels are sealed with; null: nobody has looked yet.
     add column sealed_with text check (sealed_with ~ '^[0-9a-f]{16}$'),
     -- Null, or when its labels are looked at again after a failure.
     add column seal_retry_at timestamptz`,
];
