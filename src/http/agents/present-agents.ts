import { listHoldsByAgent } from '../../agents/holds.ts';
import { type AgentRow, getAgent } from '../../agents/store.ts';
import type { Database } from '../../database/connect.ts';
import { type AgentJson, presentAgent } from './agent-json.ts';

/** Agents as API clients see them, with their holds; in the given order. */
export async function presentAgents(database: Database, rows: readonly AgentRow[]): Promise<AgentJson[]> {
  const holds = await listHoldsByAgent(
    database,
    rows.map((row) => row.agent_id),
  );
  return rows.map((row) => presentAgent(row, holds.get(row.agent_id) ?? []));
}

/** @throws NotFoundError */
export async function findAgentJson(database: Database, agentId: string): Promise<AgentJson> {
  const [agent] = await presentAgents(database, [await getAgent(database, agentId)]);
  return agent!;
}
