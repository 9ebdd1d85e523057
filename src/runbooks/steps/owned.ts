import type { HetznerClient, Server, Snapshot, SshKey } from '../../hetzner/hetzner.ts';
import type { Attempt } from '../../operations/attempt.ts';
import { hasOwnLabels, isAnothers, isOwnKey, ownName } from './own-server.ts';
import { listEverySnapshot } from './own-snapshots.ts';

type ServerLists = Pick<HetznerClient, 'listServers' | 'getServer' | 'findServer'>;
type SshKeyLists = Pick<HetznerClient, 'listSshKeys' | 'findSshKey'>;
type SnapshotLists = Pick<HetznerClient, 'listSnapshots' | 'getSnapshot'>;

/** What Hetzner lists of an agent. */
export interface Owned {
  servers: Server[];
  sshKeys: SshKey[];
  snapshots: Snapshot[];
  /** What has its name or labels, or a recorded id, but is not its own. */
  strange: (Server | SshKey | Snapshot)[];
}

/**
 * Finds the agent's own servers, keys and snapshots, with or without labels, but the snapshot that is kept.
 *
 * The lists by label are asked first. What they show needs no second question: ids are unique, and so are
 * names in a project. What they do not show is asked for by recorded id and by name, so an answer that finds
 * nothing of a kind has asked every question about it: three calls where the labels show everything, at most
 * seven where nothing is left, and one for each recorded snapshot that has lost its labels.
 */
export async function findOwned(
  hetzner: ServerLists & SshKeyLists & SnapshotLists,
  { agent }: Pick<Attempt, 'agent'>,
  kept?: string,
): Promise<Owned> {
  const [servers, sshKeys, snapshots] = await Promise.all([
    findServers(hetzner, agent),
    findSshKeys(hetzner, agent),
    listEverySnapshot(hetzner, agent, kept),
  ]);
  return {
    servers: servers.own,
    sshKeys: sshKeys.own,
    snapshots: snapshots.own,
    strange: [...servers.strange, ...sshKeys.strange, ...snapshots.strange],
  };
}

/** Finds the agent's own servers, and those that only look like it. */
export async function findServers(
  hetzner: ServerLists,
  agent: Attempt['agent'],
): Promise<{ own: Server[]; strange: Server[] }> {
  const { agent_id: agentId, server_id: serverId } = agent;
  const name = ownName(agent);
  const labelled = await hetzner.listServers(agentId);
  const [recorded, namesake] = await Promise.all([
    serverId === null || labelled.some(({ id }) => id === serverId) ? undefined : hetzner.getServer(serverId),
    labelled.some((one) => one.name === name) ? undefined : hetzner.findServer(name),
  ]);
  return split(
    [recorded, namesake, ...labelled],
    (one) => hasOwnLabels(one, agent) || (one.id === serverId && !isAnothers(one, agent)),
  );
}

async function findSshKeys(
  hetzner: SshKeyLists,
  agent: Attempt['agent'],
): Promise<{ own: SshKey[]; strange: SshKey[] }> {
  const name = ownName(agent);
  const labelled = await hetzner.listSshKeys(agent.agent_id);
  const namesake = labelled.some((one) => one.name === name) ? undefined : await hetzner.findSshKey(name);
  return split([namesake, ...labelled], (one) => isOwnKey(one, agent));
}

function split<T extends { id: string }>(
  items: readonly (T | undefined)[],
  isOwn: (one: T) => boolean,
): { own: T[]; strange: T[] } {
  const known = items.filter((one) => one !== undefined);
  const all = [...new Map(known.map((one) => [one.id, one])).values()];
  return { own: all.filter(isOwn), strange: all.filter((one) => !isOwn(one)) };
}
