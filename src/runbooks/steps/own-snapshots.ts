import { agentSnapshotName } from '../../../stacks/inputs.ts';
import { readAgentSnapshot } from '../../../stacks/labels.ts';
import type { AgentRow } from '../../agents/store.ts';
import type { HetznerClient, Snapshot } from '../../hetzner/hetzner.ts';
import { hasOwnLabels, isAnothers, isLabelled, type Owner } from './own-server.ts';

type SnapshotLists = Pick<HetznerClient, 'getSnapshot' | 'listSnapshots'>;
type SnapshotOwner = Owner & Pick<AgentRow, 'snapshot_id'>;

/**
 * Returns the recorded snapshot; undefined if it is gone, or if its name and labels are another agent's: a
 * runner may have reported a wrong id.
 */
export async function recordedSnapshot(
  hetzner: Pick<HetznerClient, 'getSnapshot'>,
  agent: SnapshotOwner,
): Promise<Snapshot | undefined> {
  const found = agent.snapshot_id === null ? undefined : await hetzner.getSnapshot(agent.snapshot_id);
  return found !== undefined && isAnothers(found, agent) ? undefined : found;
}

/** Lists the agent's own snapshots: the recorded one, and those with its name and labels. */
export const listOwnSnapshots = (
  { hetzner }: { hetzner: SnapshotLists },
  agent: SnapshotOwner,
): Promise<Snapshot[]> => listRecordedAnd(hetzner, agent, (one) => hasOwnLabels(one, agent));

/**
 * Lists all that exists of an agent's disk, by one list: the recorded snapshot, those of its hibernations and
 * those that are kept beside its server.
 */
export const listEverySnapshot = (
  { hetzner }: { hetzner: SnapshotLists },
  agent: SnapshotOwner,
): Promise<Snapshot[]> =>
  listRecordedAnd(hetzner, agent, (one) => hasOwnLabels(one, agent) || isAgentSnapshot(one, agent.agent_id));

/** Asks for the recorded snapshot by its id only if it has lost its label. */
async function listRecordedAnd(
  hetzner: SnapshotLists,
  agent: SnapshotOwner,
  isOwn: (one: Snapshot) => boolean,
): Promise<Snapshot[]> {
  const labelled = await hetzner.listSnapshots(agent.agent_id);
  const listed = labelled.find(({ id }) => id === agent.snapshot_id);
  const recorded = listed ?? (await recordedSnapshot(hetzner, agent));
  const others = labelled.filter((one) => one !== listed && isOwn(one));
  return recorded === undefined ? others : [recorded, ...others];
}

/**
 * Lists an agent's snapshots that are kept beside its server, also those whose rows say nothing of them any
 * more. A hibernation's has another name and other labels, and is not among them.
 */
export async function listAgentSnapshots(
  { hetzner }: { hetzner: Pick<HetznerClient, 'listSnapshots'> },
  { agent_id: agentId }: Pick<Owner, 'agent_id'>,
): Promise<Snapshot[]> {
  const labelled = await hetzner.listSnapshots(agentId);
  return labelled.filter((one) => isAgentSnapshot(one, agentId));
}

/** Whether name and labels are those of an agent's snapshot. Nobody sets both by chance. */
export const isAgentSnapshot = ({ name, labels }: Pick<Snapshot, 'name' | 'labels'>, agentId: string) =>
  isLabelled({ labels }, agentId) &&
  readAgentSnapshot(labels) !== null &&
  name === agentSnapshotName(agentId);
