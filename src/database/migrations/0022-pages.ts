import { type Kysely, sql } from 'kysely';

/** What the pages search, filter and count, so that none of them reads a whole table. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // Bounded, because an index keeps it: ids, addresses and names of a normal length fit.
  `alter table agents add column search text not null generated always as (left(lower(
     agent_id || ' ' || user_id || ' ' || coalesce(ipv4, '') || ' ' || coalesce(ipv6, '') || ' ' ||
     coalesce(tailnet_ip, '') || ' ' || coalesce(tailnet_name, '') || ' ' || coalesce(server_id, '') || ' ' ||
     coalesce(server_name, '') || ' ' || coalesce(subscription_id, '') || ' ' || region || ' ' || plan), 700)) stored`,

  `alter table agents add column server_type text generated always as (inputs ->> 'serverType') stored`,

  // Lists, counts and sums read these columns from the index alone, in the order of the list.
  `create index agents_listed on agents (created_at desc, agent_id)
     include (status, health, user_id, region, location, plan, server_type, server_id, search)`,
  `drop index agents_created_at`,
  `create index agents_by_user on agents (user_id, agent_id)`,

  `create index agents_troubled on agents (status) where status in ('failed', 'destroying')`,
  `create index agents_unhealthy on agents (unhealthy_since) where unhealthy_since is not null`,
  `create index orders_attention on orders (created_at) where attention is not null`,

  `create index operations_provisioned on operations (finished_at)
     where kind = 'provision' and finished_at is not null`,
  `create index operations_failed on operations (finished_at) where status = 'failed'`,
];
