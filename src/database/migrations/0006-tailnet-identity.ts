import { type Kysely, sql } from 'kysely';

/**
 * Identifies each agent's device by the id that the control server gave it, because a machine can change its
 * hostname. Existing agents have no id yet; the sweep and every operation on them look it up by address.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
  await uniqueAddresses(db);
}

const STATEMENTS = [
  `alter table agents add column tailnet_node_id text
     check (tailnet_node_id is null or (tailnet_node_id ~ '^[A-Za-z0-9]{1,64}$' and tailnet_ip is not null))`,
  `create unique index agents_tailnet_node_id on agents (tailnet_node_id)`,

  // Kept after the agent is destroyed, so that a device that joins late can still be attributed.
  `create table tailnet_join_names (
     name text primary key check (name ~ '^join-[0-9a-f]{32}$'),
     agent_id text not null references agents on delete cascade,
     key_generation int not null check (key_generation > 0),
     created_at timestamptz not null default now())`,
];

/**
 * An earlier version could record one agent's address for another. A person must resolve such rows, so they
 * stay out of the index, and the sweep reports them.
 */
async function uniqueAddresses(db: Kysely<unknown>): Promise<void> {
  const shared = await sql<{ agentId: string }>`
    select agent_id as "agentId" from (
      select agent_id, count(*) over (partition by tailnet_ip) as sharers from agents where tailnet_ip is not null) addresses
    where sharers > 1`.execute(db);
  const exceptions = shared.rows.map(({ agentId }) => sql.lit(agentId));
  const except = exceptions.length === 0 ? sql`` : sql`where agent_id not in (${sql.join(exceptions)})`;
  await sql`create unique index agents_tailnet_ip on agents (tailnet_ip) ${except}`.execute(db);
}
