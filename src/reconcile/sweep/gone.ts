import { audit } from '../../agents/audit.ts';
import { lockAgent, recordUnhealthy } from '../../agents/store.ts';
import type { Database } from '../../database/connect.ts';
import { errorMessage } from '../../errors.ts';
import { forgetImage } from '../../images/choice.ts';
import { isImage } from '../../images/images.ts';
import { isSlot, retireSlot } from '../../slots/slots.ts';
import { readAgentView } from './agent-views.ts';
import { explain } from './compare.ts';
import type { AgentView, Finding } from './findings.ts';
import type { SweptHetzner } from './inventory.ts';
import { mendServer } from './servers.ts';

export type GoneServer = Extract<Finding, { reason: 'server-gone' }>;
export type GoneSnapshot = Extract<Finding, { reason: 'snapshot-gone' }>;

/**
 * Handles a live agent whose server was not listed. If Hetzner does not have the server, the agent becomes
 * unhealthy: a person has to decide what happens to it, since its disk is lost.
 * @returns a finding for a person; undefined if the list was outdated, or an operation has begun.
 */
export async function reportGone(
  { hetzner, database }: { hetzner: SweptHetzner; database: Database },
  finding: GoneServer,
): Promise<string | undefined> {
  const { agentId, serverId } = finding;
  const server = await hetzner.getServer(serverId);
  if (isSlot(agentId)) {
    // The keeper makes another one. Labels that were lost come back with the agent.
    if (server === undefined) await retireSlot(database, agentId, explain(finding));
    return server === undefined ? explain(finding) : undefined;
  }
  // It still exists but has lost the labels by which it is listed.
  if (server !== undefined)
    return mendServer({ hetzner, database }, finding).catch(
      (error) =>
        `Server ${serverId} of agent ${agentId} has lost its labels, and they could not be restored: ${errorMessage(error)}`,
    );
  return recordGone(database, finding, (agent) => agent.serverId === serverId);
}

/** Handles a hibernated agent whose snapshot was not listed, as `reportGone` does. */
export async function reportGoneSnapshot(
  { hetzner, database }: { hetzner: SweptHetzner; database: Database },
  finding: GoneSnapshot,
): Promise<string | undefined> {
  const { agentId, snapshotId } = finding;
  const isThere = (await hetzner.getSnapshot(snapshotId)) !== undefined;
  if (isImage(agentId)) {
    if (!isThere) await forgetImage(database, snapshotId, `Snapshot ${snapshotId} is no longer at Hetzner`);
    return isThere ? undefined : `Snapshot ${snapshotId} of ${agentId} is no longer at Hetzner`;
  }
  if (isThere)
    return `Snapshot ${snapshotId} of the hibernated agent ${agentId} has lost its labels: put them back`;
  const isCurrent = (agent: AgentView) => agent.status === 'hibernated' && agent.snapshotId === snapshotId;
  return recordGone(database, finding, isCurrent);
}

/** Makes the agent unhealthy, unless the finding is outdated. */
async function recordGone(
  database: Database,
  finding: GoneServer | GoneSnapshot,
  isCurrent: (agent: AgentView) => boolean,
): Promise<string | undefined> {
  const { action: _, reason, agentId, ...details } = finding;
  const text = explain(finding);
  return database.transaction().execute(async (trx) => {
    const { health, error } = await lockAgent(trx, agentId);
    const agent = await readAgentView(trx, agentId);
    if (agent === undefined || agent.unfinished || !isCurrent(agent)) return undefined;
    if (health === 'unhealthy' && error === text) return text;
    await recordUnhealthy(trx, agentId, text);
    await audit(trx, { actor: 'service', action: `sweep.${reason}`, agentId, details });
    return text;
  });
}
