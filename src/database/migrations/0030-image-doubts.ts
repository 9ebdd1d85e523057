import { type Kysely, sql } from 'kysely';

/** An image is bad once two servers of it have not joined, not only one. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table images add column doubted_by text check (length(doubted_by) between 1 and 100)`,
];
