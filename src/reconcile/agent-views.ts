import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import type { AgentView } from './compare.ts';

/** The agents with these ids, and all whose server or device may be missed. */
export async function readAgentViews(database: Database, agentIds: readonly string[]): Promise<AgentView[]> {
  const { rows } = await sql<AgentView>`
    ${VIEW} where a.agent_id = any(${[...agentIds]}::text[])
      or a.status in ('running', 'stopping', 'stopped', 'suspended')`.execute(database);
  return rows;
}

export async function readAgentView(database: Database, agentId: string): Promise<AgentView | undefined> {
  const { rows } = await sql<AgentView>`${VIEW} where a.agent_id = ${agentId}`.execute(database);
  return rows[0];
}

/** No cast that one odd row could make fail for all of them. */
const KEY_GENERATION = sql`
  case when a.inputs->>'keyGeneration' ~ '^[0-9]{1,9}$' then (a.inputs->>'keyGeneration')::int end`;

const VIEW = sql`
  select a.agent_id as "agentId", a.status, a.server_id as "serverId", a.tailnet_ip as "tailnetIp",
    a.inputs->>'operationId' as "operationId", ${KEY_GENERATION} as "keyGeneration",
    exists (select 1 from operations o
      where o.agent_id = a.agent_id and o.status in ('queued', 'active')) as unfinished,
    coalesce((select o.status <> 'succeeded' from operations o
      where o.agent_id = a.agent_id and o.kind in ('provision', 'rebuild') and o.finished_at is not null
      order by o.finished_at desc limit 1), false) as "lastBuildFailed"
  from agents a`;
