import { listHoldsByAgent } from '../../agents/holds.ts';
import { type AgentRow, getAgent } from '../../agents/store.ts';
import { readBilling } from '../../billing/subscriptions.ts';
import type { Database } from '../../database/connect.ts';
import { type AgentJson, presentAgent } from './agent-json.ts';

/** Agents as API clients see them, with their holds and subscriptions; in the given order. */
export async function presentAgents(database: Database, rows: readonly AgentRow[]): Promise<AgentJson[]> {
  const ids = rows.map((row) => row.agent_id);
  const [holds, subscriptions] = await Promise.all([
    listHoldsByAgent(database, ids),
    readBilling(database, ids),
  ]);
  return rows.map((row) =>
    presentAgent(row, {
      holds: holds.get(row.agent_id) ?? [],
      subscription: subscriptions.get(row.agent_id),
    }),
  );
}

/** @throws NotFoundError */
export async function findAgentJson(database: Database, agentId: string): Promise<AgentJson> {
  const [agent] = await presentAgents(database, [await getAgent(database, agentId)]);
  return agent!;
}
