import type { Database } from '../database/connect.ts';
import type { AgentStatus, Health } from '../database/vocabulary.ts';

/** From then on the agent had this status and this health. */
export interface AgentChange {
  at: Date;
  status: AgentStatus;
  health: Health;
}

/** The newest changes of an agent's status and health, oldest first. A trigger records them. */
export async function listChanges(
  database: Database,
  { agentId, limit }: { agentId: string; limit: number },
): Promise<AgentChange[]> {
  const newestFirst = await database
    .selectFrom('agent_changes')
    .select(['at', 'status', 'health'])
    .where('agent_id', '=', agentId)
    .orderBy('change_id', 'desc')
    .limit(limit)
    .execute();
  return newestFirst.reverse();
}
