import type { Database } from '../database/connect.ts';
import { type AgentRow, getAgent } from './store.ts';

/**
 * Returns the row that an operation works from. An earlier version could record one address in two rows. Such
 * an address does not prove whose device it is, so it is left out: the operation must not touch another
 * agent's device.
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
