import type { Database } from '../database/connect.ts';
import { type AgentRow, getAgent } from './store.ts';

/**
 * The row that an operation works from. An earlier version could record one address in two rows. Such an
 * address does not prove whose the device is, so the operation gets none and cannot touch another agent's
 * device.
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
