import { audit } from '../../agents/audit.ts';
import { lockAgent } from '../../agents/store.ts';
import type { Database } from '../../database/connect.ts';
import { isImage } from '../../images/images.ts';
import { isAnothers } from '../../runbooks/steps/own-server.ts';
import { missingAttributes } from '../../runbooks/steps/server-attributes.ts';
import { isSlot } from '../../slots/slots.ts';
import { readAgentView } from './agent-views.ts';
import type { AgentView, Finding } from './findings.ts';
import type { SweptHetzner } from './inventory.ts';
import { type Resource, toCarriedName } from './resources.ts';

/** A live agent's own server that lacks labels or its firewall. */
export type Mend = Extract<Finding, { action: 'mend' }>;

/** Read the server, set its labels, apply its firewall. */
export const CALLS_PER_MEND = 3;

/**
 * Attributes each server and snapshot to the agent whose row has its id, and everything that carries a
 * server's name to the name's owner. Anyone can change a label, so labels count only for the rest.
 * `serverNames`: owners by name.
 */
export function attributeServers(
  resources: readonly Resource[],
  agents: readonly AgentView[],
  serverNames: ReadonlyMap<string, string> = new Map(),
): Resource[] {
  const byServer = new Map(agents.map((agent) => [agent.serverId, agent.agentId]));
  const bySnapshot = new Map(agents.map((agent) => [agent.snapshotId, agent.agentId]));
  return resources.map((resource) => {
    const known = serverNames.get(toCarriedName(resource)) ?? resource.agentId;
    if (resource.kind === 'snapshot') return { ...resource, agentId: bySnapshot.get(resource.id) ?? known };
    if (resource.kind !== 'server') return { ...resource, agentId: known };
    return { ...resource, agentId: byServer.get(resource.id) ?? known, labelledFor: resource.agentId };
  });
}

/** Whether a listed server of a live agent lacks one of our labels or the shared firewall. */
export function isIncomplete(server: Extract<Resource, { kind: 'server' }>, agent: AgentView): boolean {
  const { agentId, operationId, firewallId } = agent;
  if (server.labelledFor !== agentId || (operationId !== null && server.operationId === null)) return true;
  return firewallId !== null && !server.firewallIds.includes(firewallId);
}

interface MendDeps {
  hetzner: SweptHetzner;
  database: Database;
}

/**
 * Restores what a live agent's own server has lost, while its row is locked and no operation on it is queued
 * or active.
 * @returns a finding for a person; undefined if nothing is missing any more, or an operation has begun.
 */
export async function mendServer(
  { hetzner, database }: MendDeps,
  { agentId, serverId }: Pick<Mend, 'agentId' | 'serverId'>,
): Promise<string | undefined> {
  // A slot's labels come back with its agent.
  if (isSlot(agentId) || isImage(agentId)) return undefined;
  return database.transaction().execute(async (trx) => {
    const row = await lockAgent(trx, agentId);
    const agent = await readAgentView(trx, agentId);
    if (agent === undefined || agent.unfinished || row.server_id !== serverId) return undefined;
    const server = await hetzner.getServer(serverId);
    const missing = server && missingAttributes(server, row);
    if (missing === undefined) return undefined;
    const name = `Server ${server!.name} (${serverId}) of agent ${agentId}`;
    if (isAnothers(server!, row))
      return `${name} has the name and the labels of another agent: it is left alone, and its row may be wrong`;
    const { labels, firewallId } = missing;
    if (labels !== undefined) await hetzner.setServerLabels(serverId, labels);
    const isApplied =
      firewallId === undefined || (await hetzner.applyFirewall(firewallId, serverId, { wait: false }));
    const mended = [
      ...(labels === undefined ? [] : ['its labels']),
      ...(firewallId === undefined || !isApplied ? [] : [`the firewall ${firewallId}`]),
    ];
    const details = { serverId, mended: mended.join(', ') };
    if (mended.length > 0)
      await audit(trx, { actor: 'service', action: 'sweep.server-mended', agentId, details });
    const said = mended.length === 0 ? [] : [`${name} had lost ${mended.join(' and ')}: put back`];
    if (!isApplied) said.push(`${name} is without the firewall ${firewallId}, which is no longer at Hetzner`);
    return said.join('. ');
  });
}
