import { audit } from '../../agents/audit.ts';
import { lockAgent, recordUnhealthy } from '../../agents/store.ts';
import type { Database } from '../../database/connect.ts';
import { errorMessage } from '../../errors.ts';
import { readAgentView } from './agent-views.ts';
import { explain } from './compare.ts';
import type { Finding } from './findings.ts';
import type { SweptHetzner } from './inventory.ts';
import { mendServer } from './servers.ts';

export type GoneServer = Extract<Finding, { reason: 'server-gone' }>;

/**
 * A live agent's server was not on the list. It is asked for by its id, and if it is not there, the agent is unhealthy, with the reason: what is to
 * become of it is a person's decision, since what was on the disk is lost.
 * @returns what a person should read; undefined where the list was read while it changed, or an operation has begun since.
 */
export async function reportGone(
  { hetzner, database }: { hetzner: SweptHetzner; database: Database },
  finding: GoneServer,
): Promise<string | undefined> {
  const { agentId, serverId } = finding;
  const server = await hetzner.getServer(serverId);
  // Without our labels no list shows it; it is the agent's all the same.
  if (server !== undefined)
    return mendServer({ hetzner, database }, finding).catch(
      (error) =>
        `Server ${serverId} of agent ${agentId} has lost its labels, and they could not be put back: ${errorMessage(error)}`,
    );
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
