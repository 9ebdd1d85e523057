import { type Kysely, sql } from 'kysely';

/** The snapshot that is kept in place of a hibernated agent's server. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table agents
     add column snapshot_id text,
     add constraint agents_snapshot_id_form check (snapshot_id ~ '^[0-9]{1,19}$'),
     add constraint agents_snapshot_of_destroyed check (status <> 'destroyed' or snapshot_id is null)`,
  // No earlier version hibernates an agent, but a person may have, by SQL.
  `update agents set status = 'suspended', error = 'It was hibernated without a recorded snapshot: refresh this agent',
     server_id = coalesce(server_id, '0' || (hashtextextended(agent_id, 0) & 72057594037927935)::text),
     tailnet_ip = coalesce(tailnet_ip, '2001:db8::' || to_hex(hashtextextended(agent_id, 0) & 65535) || ':' || to_hex(hashtextextended(agent_id, 1) & 65535))
     where status = 'hibernated'`,
  `alter table agents
     add constraint agents_hibernated check (status <> 'hibernated' or (snapshot_id is not null and server_id is null))`,
  'create unique index agents_snapshot_id on agents (snapshot_id)',
];
