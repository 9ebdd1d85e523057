import { sql } from 'kysely';
import { KEPT_STATUSES } from '../../agents/states.ts';
import type { Database } from '../../database/connect.ts';
import type { AgentView } from './findings.ts';

/** Maps those of these names that are join names to their agents. */
export async function readJoinNames(
  database: Database,
  names: readonly string[],
): Promise<Map<string, string>> {
  const { rows } = await sql<{ name: string; agentId: string }>`
    select name, agent_id as "agentId" from tailnet_join_names where name = any(${[...names]}::text[])`.execute(
    database,
  );
  return new Map(rows.map(({ name, agentId }) => [name, agentId]));
}

/** The ids and addresses that the lists contained. */
export interface Seen {
  agentIds: readonly string[];
  serverIds: readonly string[];
  /** Tailnet addresses. */
  addresses: readonly string[];
}

/** Reads the agents with these ids, servers or addresses, and all that keep resources: their server or
 * snapshot may be missing. */
export async function readAgentViews(
  database: Database,
  { agentIds, serverIds, addresses }: Seen,
): Promise<AgentView[]> {
  const { rows } = await sql<AgentView>`
    ${VIEW} where v."agentId" = any(${[...agentIds]}::text[]) or v."serverId" = any(${[...serverIds]}::text[])
      or v."tailnetIp" = any(${[...addresses]}::text[])
      or v.status = any(${[...KEPT_STATUSES]}::text[])`.execute(database);
  return rows;
}

export async function readAgentView(database: Database, agentId: string): Promise<AgentView | undefined> {
  const { rows } = await sql<AgentView>`${VIEW} where v."agentId" = ${agentId}`.execute(database);
  return rows[0];
}

/** Guarded, so that one malformed row cannot fail the query for all. */
const KEY_GENERATION = sql`
  case when inputs->>'keyGeneration' ~ '^[0-9]{1,9}$' then (inputs->>'keyGeneration')::int end`;

const FIREWALL_ID = sql`
  case when jsonb_typeof(inputs->'firewallId') = 'number' then (inputs->>'firewallId')::float8 end`;

const AGENTS = sql`
  select a.agent_id as "agentId", a.project, a.status,
    array(select n.name from server_names n where n.owner_id = a.agent_id) as "serverNames", a.server_id as "serverId", a.snapshot_id as "snapshotId", a.tailnet_ip as "tailnetIp", a.tailnet_node_id as "nodeId",
    coalesce(a.inputs->'hibernated'->'outdated' ? a.snapshot_id, false) as "isSnapshotOutdated",
    a.inputs->>'operationId' as "operationId", ${KEY_GENERATION} as "keyGeneration",
    ${FIREWALL_ID} as "firewallId",
    exists (select 1 from operations o
      where o.agent_id = a.agent_id and o.status in ('queued', 'active')) as unfinished,
    coalesce((select o.status <> 'succeeded' from operations o
      where o.agent_id = a.agent_id and o.kind in ('provision', 'rebuild') and o.finished_at is not null
      order by o.finished_at desc limit 1), false) as "lastBuildFailed"
  from agents a`;

/**
 * Slots as the agents that they are not yet. One that an agent runs on has nothing of its own any more: what
 * carries its names is attributed to the agent.
 */
const SLOTS = sql`
  select slot_id as "agentId", project,
    case status when 'making' then 'provisioning' when 'ready' then 'running' when 'claimed' then 'running'
      when 'removing' then 'destroying' else 'destroyed' end as status,
    array(select n.name from server_names n where n.owner_id = slots.slot_id) as "serverNames",
    case when served_at is null then server_id end as "serverId", null as "snapshotId",
    case when served_at is null then tailnet_ip end as "tailnetIp",
    case when served_at is null then tailnet_node_id end as "nodeId", false as "isSnapshotOutdated",
    inputs->>'operationId' as "operationId", ${KEY_GENERATION} as "keyGeneration", ${FIREWALL_ID} as "firewallId",
    status in ('making', 'claimed', 'removing') as unfinished, false as "lastBuildFailed"
  from slots`;

/**
 * Images as hibernated agents: a snapshot, and once it is there no server. What a removed one has left is
 * removed.
 */
const IMAGES = sql`
  select image_id as "agentId", project,
    case when status = 'building' then 'provisioning' when status in ('available', 'bad') then 'hibernated'
      when status = 'removing' then 'destroying' else 'destroyed' end as status,
    array(select n.name from server_names n where n.owner_id = images.image_id) as "serverNames", null as "serverId",
    snapshot_id as "snapshotId", null as "tailnetIp", null as "nodeId", false as "isSnapshotOutdated",
    inputs->>'operationId' as "operationId", ${KEY_GENERATION} as "keyGeneration", ${FIREWALL_ID} as "firewallId",
    status in ('building', 'removing') as unfinished, false as "lastBuildFailed"
  from images`;

const VIEW = sql`select * from (${AGENTS} union all ${SLOTS} union all ${IMAGES}) v`;
