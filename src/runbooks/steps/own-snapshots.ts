import type { AgentRow } from '../../agents/store.ts';
import type { HetznerClient, Snapshot } from '../../hetzner/hetzner.ts';
import { hasOwnLabels, type Owner } from './own-server.ts';

type SnapshotOwner = Owner & Pick<AgentRow, 'snapshot_id'>;

/** Lists the agent's own snapshots: the recorded one, and those with its name and labels. */
export async function listOwnSnapshots(
  { hetzner }: { hetzner: Pick<HetznerClient, 'getSnapshot' | 'listSnapshots'> },
  agent: SnapshotOwner,
): Promise<Snapshot[]> {
  const [recorded, labelled] = await Promise.all([
    agent.snapshot_id === null ? undefined : hetzner.getSnapshot(agent.snapshot_id),
    hetzner.listSnapshots(agent.agent_id),
  ]);
  const own = labelled.filter((one) => hasOwnLabels(one, agent) && one.id !== recorded?.id);
  return recorded === undefined ? own : [recorded, ...own];
}
