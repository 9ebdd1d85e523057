import type { KeptRecord } from './kept-snapshots.ts';
import type { ScenarioContext } from './scenario-context.ts';
import { withClient } from './snapshot.ts';

const post = async (context: ScenarioContext, path: string, json?: Record<string, unknown>) => {
  const answer = await context.client.ask('POST', path, json);
  if (answer.status !== 202) throw new Error(`${path}: ${JSON.stringify(answer)}`);
};

export const keepSnapshot = (context: ScenarioContext, agentId: string) =>
  post(context, `/api/agents/${agentId}/snapshot`);

/** Puts an agent back to its newest snapshot. */
export async function revertAgent(context: ScenarioContext, agentId: string): Promise<void> {
  const newest = await newestKept(context, agentId);
  await post(context, `/api/agents/${agentId}/revert`, { snapshot: newest?.snapshot_id });
}

export const drillSnapshot = (context: ScenarioContext, agentId: string) =>
  post(context, `/api/agents/${agentId}/snapshot-drill`);

function newestKept(context: ScenarioContext, agentId: string): Promise<KeptRecord | undefined> {
  return withClient(context.installation.file.databaseUrl, async (client) => {
    const { rows } = await client.query<KeptRecord>(
      `select snapshot_id::text, agent_id, why, status, hetzner_id from agent_snapshots
       where agent_id = $1 and status = 'available' order by made_at desc limit 1`,
      [agentId],
    );
    return rows[0];
  });
}

/** Hetzner's id of the snapshot to which a revert puts the agent back. */
export async function keptFor(
  context: ScenarioContext,
  agentId: string,
): Promise<{ snapshot_id: string | null }> {
  return { snapshot_id: (await newestKept(context, agentId))?.hetzner_id ?? null };
}

/** An agent's last drill as an operation: one that ended after `struckAt` was met by the kill. */
export function lastDrill(
  context: ScenarioContext,
  agentId: string,
  struckAt: Date,
): Promise<{ status: string; error: string | null; attempt: number } | undefined> {
  return withClient(context.installation.file.databaseUrl, async (client) => {
    const { rows } = await client.query<{ status: string; error: string | null; attempt: number }>(
      `select status, error, case when finished_at > $2 then 2 else 1 end as attempt from snapshot_drills
       where agent_id = $1 order by started_at desc limit 1`,
      [agentId, struckAt],
    );
    return rows[0];
  });
}
