import { audit } from '../../agents/audit.ts';
import { lockAgent } from '../../agents/store.ts';
import type { Database, Transaction } from '../../database/connect.ts';
import { errorMessage } from '../../errors.ts';
import { CALLS_PER_SERVER_REMOVAL } from '../../hetzner/hetzner.ts';
import { isImage, lockImage } from '../../images/images.ts';
import { isComplete } from '../../runbooks/steps/snapshots.ts';
import { isSlot, lockSlot } from '../../slots/slots.ts';
import { readAgentView } from './agent-views.ts';
import type { Budgets } from './budget.ts';
import { judge, keepsServer } from './compare.ts';
import type { AgentView, Finding } from './findings.ts';
import { hetznerOf, type SweptClouds } from './inventory.ts';
import { REMOVAL_ORDER, type Resource } from './resources.ts';

export type Removal = Extract<Finding, { action: 'remove' }>;

/** The results of removals; those in no list were no longer necessary. */
export interface Outcomes {
  removed: Removal[];
  failed: { removal: Removal; error: string }[];
  /** Not begun, because the budget was spent. */
  postponed: Removal[];
}

interface RemoveDeps extends SweptClouds {
  database: Database;
  budgets: Budgets;
}

/**
 * Removes an agent's superfluous resources in order, while its row is locked. Requests for operations wait
 * for that lock, and this function sees earlier ones, so no operation ever uses a resource that is being
 * removed.
 */
export async function removeFromAgent(
  deps: RemoveDeps,
  agentId: string,
  removals: readonly Removal[],
): Promise<Outcomes> {
  return deps.database.transaction().execute(async (trx) => {
    if (isSlot(agentId)) await lockSlot(trx, agentId);
    else if (isImage(agentId)) await lockImage(trx, agentId);
    else await lockAgent(trx, agentId);
    // A separate statement after the lock, so that it sees what was committed while we waited.
    const agent = await readAgentView(trx, agentId);
    const stillDue = removals.filter(({ resource }) => judge(resource, agent, true).action === 'remove');
    return removeInOrder(deps, { trx, agent }, inOrder(stillDue));
  });
}

async function removeInOrder(
  deps: RemoveDeps,
  { trx, agent }: { trx: Transaction; agent: AgentView | undefined },
  removals: readonly Removal[],
): Promise<Outcomes> {
  const outcomes: Outcomes = { removed: [], failed: [], postponed: [] };
  for (const [index, removal] of removals.entries()) {
    if (callsLeft(deps.budgets, removal.resource) < callsFor(removal.resource)) {
      outcomes.postponed.push(...removals.slice(index));
      break;
    }
    try {
      if (removal.reason === 'hibernated') await assertKept(deps, agent, removal.resource);
      await remove(deps, removal.resource);
    } catch (error) {
      // Stops here: a machine that still runs could rejoin with its key, so later removals need this one.
      const failure = { removal, error: errorMessage(error) };
      await record(trx, failure);
      outcomes.failed.push(failure);
      break;
    }
    await record(trx, { removal });
    outcomes.removed.push(removal);
  }
  return outcomes;
}

/** The snapshot that is kept in the server's place must be there at this moment, and hold its disk. */
async function assertKept(
  clouds: SweptClouds,
  agent: AgentView | undefined,
  { id: serverId }: Resource,
): Promise<void> {
  const snapshotId = agent?.snapshotId ?? null;
  const kept =
    agent === undefined || snapshotId === null
      ? undefined
      : await hetznerOf(clouds, agent.project).getSnapshot(snapshotId);
  if (kept === undefined || !isComplete(kept)) throw new Error(`Snapshot ${snapshotId} is not complete`);
  if (agent === undefined || !keepsServer(kept, agent, serverId))
    throw new Error(`Snapshot ${snapshotId} is not what is on the disk of server ${serverId}`);
}

function inOrder(removals: readonly Removal[]): Removal[] {
  const rank = ({ resource }: Removal) => REMOVAL_ORDER.indexOf(resource.kind);
  return [...removals].sort((one, other) => rank(one) - rank(other));
}

function callsFor({ kind }: Resource): number {
  // A server may need a look at the snapshot in its place, a tailnet call one for an access token.
  return kind === 'server' ? CALLS_PER_SERVER_REMOVAL + 1 : 2;
}

/** How many calls remain where the resource is. */
export function callsLeft(budgets: Budgets, resource: Resource): number {
  return 'project' in resource ? budgets.of(resource.project).left : budgets.left;
}

function remove(clouds: SweptClouds, resource: Resource): Promise<void> {
  const { kind, id } = resource;
  switch (kind) {
    case 'server':
      return hetznerOf(clouds, resource.project).deleteServer(id, { wait: true });
    case 'ssh-key':
      return hetznerOf(clouds, resource.project).deleteSshKey(id);
    case 'snapshot':
      return hetznerOf(clouds, resource.project).deleteSnapshot(id);
    case 'tailnet-key':
      return clouds.tailscale.deleteKey(id);
    case 'device':
      return clouds.tailscale.deleteDevice(id);
  }
}

/** Records failures too: Hetzner may still execute a delete that it has accepted. */
function record(trx: Transaction, { removal, error }: { removal: Removal; error?: string }): Promise<void> {
  const { agentId, reason, resource } = removal;
  const { kind, id, name } = resource;
  return audit(trx, {
    actor: 'service',
    action: error === undefined ? 'sweep.remove' : 'sweep.remove-failed',
    ...(isSlot(agentId) || isImage(agentId) ? {} : { agentId }),
    details: {
      ...(isSlot(agentId) && { slotId: agentId }),
      ...(isImage(agentId) && { imageId: agentId }),
      kind,
      id,
      name,
      reason,
      ...(error === undefined ? {} : { error }),
    },
  });
}
