import { type Kysely, sql } from 'kysely';

/**
 * What keeps agents from running (holds) and from being destroyed (protection), and the status of an agent
 * whose server has been replaced by a snapshot.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table agents
     drop constraint agents_status_check,
     add constraint agents_status_check check (status in ('requested', 'provisioning', 'running', 'stopping', 'stopped',
       'suspended', 'hibernated', 'failed', 'destroying', 'destroyed')),
     add column protected boolean not null default false,
     add constraint agents_protected check (not (protected and status in ('destroying', 'destroyed')))`,

  // No earlier version suspends an agent, but a person may have, by SQL. As in migration 0007: an id that no
  // server has and an address that leads nowhere.
  `update agents set health = 'unhealthy', error = 'Its server is not recorded: refresh this agent',
     server_id = coalesce(server_id, '0' || (hashtextextended(agent_id, 0) & 72057594037927935)::text),
     tailnet_ip = coalesce(tailnet_ip, '2001:db8::' || to_hex(hashtextextended(agent_id, 0) & 65535) || ':' || to_hex(hashtextextended(agent_id, 1) & 65535))
     where status = 'suspended' and (server_id is null or tailnet_ip is null)`,
  `alter table agents
     add constraint agents_suspended_server check (status <> 'suspended' or (server_id is not null and tailnet_ip is not null))`,
  `create index agents_off on agents (agent_id) where status in ('suspended', 'hibernated')`,

  `create table holds (
     agent_id text not null references agents on delete cascade,
     reason text not null check (reason in ('payment', 'dispute', 'abuse', 'operator')),
     since timestamptz not null,
     by_whom text not null check (length(by_whom) between 1 and 200),
     note text check (length(note) between 1 and 1000),
     primary key (agent_id, reason))`,

  // After these, the server may be on although its agent is suspended, or the reverse.
  `create index operations_half_switched on operations (agent_id)
     where kind in ('suspend', 'resume') and status in ('failed', 'cancelled')`,
];
