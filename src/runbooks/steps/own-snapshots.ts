import { agentSnapshotName } from '../../../stacks/inputs.ts';
import { readAgentSnapshot } from '../../../stacks/labels.ts';
import type { WorkedAgent } from '../../agents/for-operation.ts';
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

/**
 * Lists the agent's own snapshots: the recorded one, and those with its name and labels. Asks for the
 * recorded snapshot by its id only if it has lost its label.
 */
export async function listOwnSnapshots(
  { hetzner }: { hetzner: SnapshotLists },
  agent: SnapshotOwner,
): Promise<Snapshot[]> {
  const labelled = await hetzner.listSnapshots(agent.agent_id);
  const listed = labelled.find(({ id }) => id === agent.snapshot_id);
  const recorded = listed ?? (await recordedSnapshot(hetzner, agent));
  const others = labelled.filter((one) => one !== listed && hasOwnLabels(one, agent));
  return recorded === undefined ? others : [recorded, ...others];
}

/**
 * Lists all that exists of an agent's disk: the recorded snapshot, those of its hibernations and those that
 * are kept beside its server, of whatever name. Asks by id for those recorded that the list by label lacks,
 * but for `kept`, which is to stay.
 */
export async function listEverySnapshot(
  hetzner: SnapshotLists,
  agent: SnapshotOwner & Pick<WorkedAgent, 'recorded_snapshot_ids'>,
  kept?: string,
): Promise<{ own: Snapshot[]; strange: Snapshot[] }> {
  const { agent_id: agentId, snapshot_id: snapshotId, recorded_snapshot_ids: beside = [] } = agent;
  const recorded = new Set(snapshotId === null ? beside : [snapshotId, ...beside]);
  const labelled = await hetzner.listSnapshots(agentId);
  const known = new Set(labelled.map(({ id }) => id)).add(kept ?? '');
  const unlisted: Snapshot[] = [];
  // One after the other: there may be many.
  for (const id of recorded) {
    const found = known.has(id) ? undefined : await hetzner.getSnapshot(id);
    if (found !== undefined) unlisted.push(found);
  }
  const isOwn = (one: Snapshot) =>
    hasOwnLabels(one, agent) ||
    isAgentSnapshot(one, agentId) ||
    // A runner may have reported a wrong id.
    (recorded.has(one.id) && !isAnothers(one, agent));
  const all = [...unlisted, ...labelled].filter(({ id }) => id !== kept);
  return { own: all.filter(isOwn), strange: all.filter((one) => !isOwn(one)) };
}

/**
 * Hetzner has answered the delete of this snapshot. If it has the labels by which lists find it, the next
 * list shows whether it is gone, and it need not be asked for by its id too.
 */
export function leaveToList(
  { agent_id: agentId, recorded_snapshot_ids: recorded = [] }: WorkedAgent,
  { id, labels }: Pick<Snapshot, 'id' | 'labels'>,
): void {
  const index = recorded.indexOf(id);
  if (index !== -1 && isLabelled({ labels }, agentId)) recorded.splice(index, 1);
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
