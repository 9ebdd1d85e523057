import { agentName, agentSnapshotName, type FoundResources, toServerName } from '../../../stacks/inputs.ts';
import { readLabels, toLabels } from '../../../stacks/labels.ts';
import { SERVER_NAME } from '../../agents/server-names.ts';
import type { AgentRow } from '../../agents/store.ts';
import { PermanentError } from '../../errors.ts';
import type { HetznerClient, Server, SshKey } from '../../hetzner/hetzner.ts';

export type ServerLookup = Pick<HetznerClient, 'getServer' | 'findServer'>;

/** The columns of an agent's row that identify its server. */
export type Owner = Pick<AgentRow, 'agent_id' | 'server_id' | 'inputs'>;

/**
 * Finds the agent's server by its recorded id, even if name and labels have changed. Otherwise by the agent's
 * name, which is unique in a project, and this agent's labels: a crash may have prevented the recording of
 * the id.
 * @throws PermanentError if the server may be someone else's
 */
export async function lookUpServer(hetzner: ServerLookup, agent: Owner): Promise<Server | undefined> {
  const recorded = await recordedServer(hetzner, agent);
  if (recorded !== undefined) return recorded;
  const namesake = await hetzner.findServer(ownName(agent));
  if (namesake === undefined || hasOwnLabels(namesake, agent)) return namesake;
  throw new PermanentError(
    `Server ${namesake.name} (${namesake.id}) has the name of this agent's server, but neither its recorded id nor its labels: ` +
      `it is left alone. If it is the agent's, add the labels ${labelText(agent.agent_id)}; if not, rename it`,
  );
}

/**
 * Returns the server with the recorded id.
 * @throws PermanentError if its name and labels are another agent's: a runner may have reported a wrong id
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

/** Whether a server's or snapshot's name and labels are another agent's. */
export function isAnothers({ name, labels }: Pick<Server, 'name' | 'labels'>, agent: Owner): boolean {
  const { agentId: other } = readLabels(labels);
  if (other === null || other === agent.agent_id || name === ownName(agent)) return false;
  return [agentName(other), agentSnapshotName(other)].includes(name) || SERVER_NAME.test(name);
}

/** The name of the agent's server and of its keys. */
export const ownName = (agent: Pick<Owner, 'agent_id' | 'inputs'>): string =>
  toServerName({ agentId: agent.agent_id, serverName: agent.inputs?.serverName });

/** Returns the agent's server. @throws PermanentError if it does not exist */
export async function presentServer(hetzner: ServerLookup, agent: Owner): Promise<Server> {
  const server = await lookUpServer(hetzner, agent);
  // No server has its id or its name, so a rebuild cannot destroy a disk.
  if (server === undefined)
    throw new PermanentError('The server is no longer at Hetzner; a rebuild creates a new one');
  return server;
}

type Lookup = ServerLookup & Pick<HetznerClient, 'findSshKey' | 'setSshKeyLabels'>;

/** Finds the agent's resources at Hetzner, even those missing from the state. Restores its key's labels. */
export async function findResources(hetzner: Lookup, agent: Owner): Promise<FoundResources> {
  const [server, sshKey] = await Promise.all([
    lookUpServer(hetzner, agent),
    hetzner.findSshKey(ownName(agent)),
  ]);
  const isOwn = sshKey !== undefined && isOwnKey(sshKey, agent);
  if (isOwn && !isLabelled(sshKey, agent.agent_id))
    await hetzner.setSshKeyLabels(sshKey.id, { ...sshKey.labels, ...ownLabels(agent) });
  return {
    ...(server === undefined ? {} : { serverId: server.id }),
    ...(isOwn ? { sshKeyId: sshKey.id } : {}),
  };
}

/** Whether a server or key has the agent's name and labels. */
export function hasOwnLabels({ name, labels }: Pick<Server, 'name' | 'labels'>, agent: Owner): boolean {
  if (name !== ownName(agent)) return false;
  const operationId = agent.inputs?.operationId;
  return (
    isLabelled({ labels }, agent.agent_id) ||
    (operationId !== undefined && readLabels(labels).operationId === operationId)
  );
}

/** Checks labels or public key: the key was generated for this agent only, so it is proof without labels. */
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

/** Whether it has the labels by which lists find it. */
export function isLabelled({ labels }: Pick<Server, 'labels'>, agentId: string): boolean {
  return Object.entries(toLabels({ agentId })).every(([key, value]) => labels[key] === value);
}

/** The labels of all the agent's resources. */
export function ownLabels(agent: Owner): Record<string, string> {
  return toLabels({ agentId: agent.agent_id, operationId: agent.inputs?.operationId });
}

/** The labels as people enter them in Hetzner's console. */
function labelText(agentId: string): string {
  const labels = Object.entries(toLabels({ agentId }));
  return labels.map(([key, value]) => `${key}=${value}`).join(', ');
}
