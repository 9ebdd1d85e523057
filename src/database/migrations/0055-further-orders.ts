import { type Kysely, sql } from 'kysely';

/** An agent can have several orders: its buyer may buy a further subscription for it. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  'alter table orders drop constraint orders_agent_id_key',
  'create index orders_by_agent on orders (agent_id)',
];
