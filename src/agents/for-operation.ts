import type { Database } from '../database/connect.ts';
import { type AgentRow, getAgent } from './store.ts';

/**
 * The row that an operation works from. An address that another row names too, as an earlier version could
 * record it, says nothing about whose the device is: such an operation gets none, so that it takes no other
 * agent's device for its own.
 * @throws NotFoundError
 */
export async function getAgentForOperation(database: Database, agentId: string): Promise<AgentRow> {
  const agent = await getAgent(database, agentId);
  if (agent.tailnet_ip === null || agent.tailnet_node_id !== null) return agent;
  const sharer = await database
    .selectFrom('agents')
    .select('agent_id')
    .where('agent_id', '<>', agentId)
    .where('tailnet_ip', '=', agent.tailnet_ip)
    .executeTakeFirst();
  return sharer === undefined ? agent : { ...agent, tailnet_ip: null };
}
