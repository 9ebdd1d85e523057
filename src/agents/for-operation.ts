import type { Database } from '../database/connect.ts';
import { PermanentError } from '../errors.ts';
import { findAdoption } from './adoptions.ts';
import { listHetznerIds } from './snapshots.ts';
import { type AgentRow, getAgent } from './store.ts';

/** An agent's row, with what an operation needs of other tables. */
export type WorkedAgent = AgentRow & {
  /**
   * Hetzner's ids of the snapshots that are kept beside its server, if it is being destroyed: the proof that
   * nothing is left must not rest on names and labels, which people can change.
   */
  recorded_snapshot_ids?: string[];
};

/**
 * Returns the row that an operation works from. An earlier version could record one address in two rows. Such
 * an address does not prove whose device it is, so it is left out: the operation must not touch another
 * agent's device.
 * @throws NotFoundError; PermanentError if its adoption is not complete and the row does not say of what
 */
export async function getAgentForOperation(database: Database, agentId: string): Promise<WorkedAgent> {
  const agent = await getAgent(database, agentId);
  await refuseUnknownAdoption(database, agent);
  const known = await withoutSharedAddress(database, agent);
  if (agent.status !== 'destroying') return known;
  return { ...known, recorded_snapshot_ids: await listHetznerIds(database, agentId) };
}

async function withoutSharedAddress(database: Database, agent: AgentRow): Promise<AgentRow> {
  if (agent.tailnet_ip === null || agent.tailnet_node_id !== null) return agent;
  const sharer = await database
    .selectFrom('agents')
    .select('agent_id')
    .where('agent_id', '<>', agent.agent_id)
    .where('tailnet_ip', '=', agent.tailnet_ip)
    .executeTakeFirst();
  return sharer === undefined ? agent : { ...agent, tailnet_ip: null };
}

/**
 * What an adoption works on stands in the inputs too. Where it does not, the server would pass as the agent's
 * own.
 */
async function refuseUnknownAdoption(database: Database, { agent_id: agentId, inputs }: AgentRow) {
  if (inputs?.adopting !== undefined) return;
  const adoption = await findAdoption(database, agentId);
  if (adoption?.status !== 'pending') return;
  throw new PermanentError(
    `Server ${adoption.serverId} is its owner's, because its adoption was not completed, and the row of agent ${agentId} no longer says what it was before: nothing is done to it`,
  );
}
