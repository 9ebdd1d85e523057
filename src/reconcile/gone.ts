import { audit } from '../agents/audit.ts';
import { lockAgent, recordUnhealthy } from '../agents/store.ts';
import type { HetznerInventory } from '../clients/hetzner/inventory.ts';
import type { Database } from '../database/connect.ts';
import { readAgentView } from './agent-views.ts';
import { explain, type Finding } from './compare.ts';

export type GoneServer = Extract<Finding, { reason: 'server-gone' }>;

/**
 * A live agent's server was not on the list. It is asked for by its id, and if it is not there, the agent is unhealthy, with the reason: what is to
 * become of it is a person's decision, since what was on the disk is lost.
 * @returns what a person should read; undefined where the list was read while it changed, or an operation has begun since.
 */
export async function reportGone(
  { hetzner, database }: { hetzner: HetznerInventory; database: Database },
  finding: GoneServer,
): Promise<string | undefined> {
  const { agentId, serverId } = finding;
  const server = await hetzner.getServer(serverId);
  if (server?.labels['managed-by'] === 'agents') return undefined;
  if (server !== undefined)
    return `Server ${server.name} (${serverId}) of agent ${agentId} no longer carries our labels: no list will show it`;
  const text = explain(finding);
  return database.transaction().execute(async (trx) => {
    const { health, error, server_id } = await lockAgent(trx, agentId);
    const agent = await readAgentView(trx, agentId);
    if (agent === undefined || agent.unfinished || server_id !== serverId) return undefined;
    if (health === 'unhealthy' && error === text) return text;
    await recordUnhealthy(trx, agentId, text);
    await audit(trx, { actor: 'service', action: 'sweep.server-gone', agentId, details: { serverId } });
    return text;
  });
}
