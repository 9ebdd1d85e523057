import { agentName, type FoundResources } from '../../../stacks/inputs.ts';
import { readLabels, toLabels } from '../../../stacks/labels.ts';
import type { AgentRow } from '../../agents/store.ts';
import { PermanentError } from '../../errors.ts';
import type { HetznerClient, Server, SshKey } from '../../hetzner/hetzner.ts';

export type ServerLookup = Pick<HetznerClient, 'getServer' | 'findServer'>;

/** The columns of an agent's row that identify its server. */
export type Owner = Pick<AgentRow, 'agent_id' | 'server_id' | 'inputs'>;

/**
 * The agent's server: the one with the recorded id, whatever its name and labels are now. Where there is
 * none, the server with the agent's name (unique in a project), if its labels are of this agent's provision:
 * a crash may have come between its creation and its record.
 * @throws PermanentError where that is not certain, so that nobody else's server is touched.
 */
export async function lookUpServer(hetzner: ServerLookup, agent: Owner): Promise<Server | undefined> {
  const recorded = await recordedServer(hetzner, agent);
  if (recorded !== undefined) return recorded;
  const namesake = await hetzner.findServer(agentName(agent.agent_id));
  if (namesake === undefined || hasOwnLabels(namesake, agent)) return namesake;
  throw new PermanentError(
    `Server ${namesake.name} (${namesake.id}) has the name of this agent's server, but neither the recorded id nor the labels: ` +
      `it is left alone. If it is the agent's, give it the label ${labelText(agent.agent_id)}; if not, another name`,
  );
}

/**
 * The server with the recorded id.
 * @throws PermanentError where name and labels are another agent's: the row has a wrong id, e.g. from a
 * mistaken runner.
 */
export async function recordedServer(
  hetzner: Pick<HetznerClient, 'getServer'>,
  agent: Owner,
): Promise<Server | undefined> {
  const { agent_id: agentId, server_id: serverId } = agent;
  const server = serverId === null ? undefined : await hetzner.getServer(serverId);
  if (server !== undefined && isAnothers(server, agent))
    throw new PermanentError(
      `Server ${server.name} (${serverId}) is recorded as agent ${agentId}'s, but its name and its labels are another agent's: it is left alone`,
    );
  return server;
}

/** Whether a server's name and labels are another agent's. */
export function isAnothers({ name, labels }: Pick<Server, 'name' | 'labels'>, agent: Owner): boolean {
  const { agentId: other } = readLabels(labels);
  return other !== null && other !== agent.agent_id && name === agentName(other);
}

/** The agent's server. @throws PermanentError where it does not exist */
export async function presentServer(hetzner: ServerLookup, agent: Owner): Promise<Server> {
  const server = await lookUpServer(hetzner, agent);
  // Neither its id nor its name exists at Hetzner, so a rebuild destroys no disk.
  if (server === undefined)
    throw new PermanentError('The server is no longer at Hetzner; a rebuild makes another');
  return server;
}

type Lookup = ServerLookup & Pick<HetznerClient, 'findSshKey' | 'setSshKeyLabels'>;

/**
 * What exists of an agent at Hetzner, whether or not the stack's state knows it. Restores the labels of its
 * key.
 */
export async function findResources(hetzner: Lookup, agent: Owner): Promise<FoundResources> {
  const [server, sshKey] = await Promise.all([
    lookUpServer(hetzner, agent),
    hetzner.findSshKey(agentName(agent.agent_id)),
  ]);
  const isOwn = sshKey !== undefined && isOwnKey(sshKey, agent);
  if (isOwn && !isLabelled(sshKey, agent.agent_id))
    await hetzner.setSshKeyLabels(sshKey.id, { ...sshKey.labels, ...ownLabels(agent) });
  return {
    ...(server === undefined ? {} : { serverId: server.id }),
    ...(isOwn ? { sshKeyId: sshKey.id } : {}),
  };
}

/** Whether a server or key with the agent's name is the agent's by its labels. */
export function hasOwnLabels({ name, labels }: Pick<Server, 'name' | 'labels'>, agent: Owner): boolean {
  if (name !== agentName(agent.agent_id)) return false;
  const operationId = agent.inputs?.operationId;
  return (
    isLabelled({ labels }, agent.agent_id) ||
    (operationId !== undefined && readLabels(labels).operationId === operationId)
  );
}

/** The public key was made for this agent alone, so it is better evidence than any label. */
export function isOwnKey(key: SshKey, agent: Owner): boolean {
  const sshPublicKey = agent.inputs?.sshPublicKey;
  return (
    hasOwnLabels(key, agent) || (sshPublicKey !== undefined && samePublicKey(key.publicKey, sshPublicKey))
  );
}

/** Compares type and key without the comment. */
function samePublicKey(one: string, other: string): boolean {
  const essence = (text: string) => text.trim().split(/\s+/).slice(0, 2).join(' ');
  return essence(one) === essence(other);
}

/** Whether it has the two labels by which lists find it. */
export function isLabelled({ labels }: Pick<Server, 'labels'>, agentId: string): boolean {
  return Object.entries(toLabels({ agentId })).every(([key, value]) => labels[key] === value);
}

/** The labels that all resources of the agent have. */
export function ownLabels(agent: Owner): Record<string, string> {
  return toLabels({ agentId: agent.agent_id, operationId: agent.inputs?.operationId });
}

/** The labels as a person types them. */
function labelText(agentId: string): string {
  const labels = Object.entries(toLabels({ agentId }));
  return labels.map(([key, value]) => `${key}=${value}`).join(', ');
}
