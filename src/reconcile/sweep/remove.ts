import { audit } from '../../agents/audit.ts';
import { lockAgent } from '../../agents/store.ts';
import type { Database, Transaction } from '../../database/connect.ts';
import { errorMessage } from '../../errors.ts';
import { CALLS_PER_SERVER_REMOVAL } from '../../hetzner/hetzner.ts';
import { readAgentView } from './agent-views.ts';
import type { Budget } from './budget.ts';
import { judge } from './compare.ts';
import type { Finding } from './findings.ts';
import type { SweptClouds } from './inventory.ts';
import { REMOVAL_ORDER, type Resource } from './resources.ts';

export type Removal = Extract<Finding, { action: 'remove' }>;

/** What has become of a removal; those that nothing is said of were not necessary any more. */
export interface Outcomes {
  removed: Removal[];
  failed: { removal: Removal; error: string }[];
  /** Not begun: the budget did not reach. */
  postponed: Removal[];
}

interface RemoveDeps extends SweptClouds {
  database: Database;
  budget: Budget;
}

/**
 * Removes what is superfluous of one agent, in order, while its row is locked: whoever asks for an operation waits for that lock, and an
 * operation that was asked for before is seen under it. So nothing is taken from under an operation, and no operation begins on
 * something that is about to go.
 */
export async function removeOfAgent(
  deps: RemoveDeps,
  agentId: string,
  removals: readonly Removal[],
): Promise<Outcomes> {
  return deps.database.transaction().execute(async (trx) => {
    await lockAgent(trx, agentId);
    // A statement of its own, after the lock: it sees what was committed while we waited.
    const agent = await readAgentView(trx, agentId);
    const stillDue = removals.filter(({ resource }) => judge(resource, agent, true).action === 'remove');
    return removeInOrder(deps, trx, inOrder(stillDue));
  });
}

async function removeInOrder(
  deps: RemoveDeps,
  trx: Transaction,
  removals: readonly Removal[],
): Promise<Outcomes> {
  const outcomes: Outcomes = { removed: [], failed: [], postponed: [] };
  for (const [index, removal] of removals.entries()) {
    if (deps.budget.left < callsFor(removal.resource)) {
      outcomes.postponed.push(...removals.slice(index));
      break;
    }
    try {
      await remove(deps, removal.resource);
    } catch (error) {
      // What comes after waits for this one: a machine that still lives would come back with its key.
      const failure = { removal, error: errorMessage(error) };
      await writeDown(trx, failure);
      outcomes.failed.push(failure);
      break;
    }
    await writeDown(trx, { removal });
    outcomes.removed.push(removal);
  }
  return outcomes;
}

function inOrder(removals: readonly Removal[]): Removal[] {
  const rank = ({ resource }: Removal) => REMOVAL_ORDER.indexOf(resource.kind);
  return [...removals].sort((one, other) => rank(one) - rank(other));
}

function callsFor({ kind }: Resource): number {
  // A tailnet call may be preceded by one for an access token.
  return kind === 'server' ? CALLS_PER_SERVER_REMOVAL : 2;
}

function remove({ hetzner, tailscale }: SweptClouds, { kind, id }: Resource): Promise<void> {
  switch (kind) {
    case 'server':
      return hetzner.deleteServer(id, { wait: true });
    case 'ssh-key':
      return hetzner.deleteSshKey(id);
    case 'tailnet-key':
      return tailscale.deleteKey(id);
    case 'device':
      return tailscale.deleteDevice(id);
  }
}

/** A failure too: a delete that Hetzner has accepted may still be carried out. */
function writeDown(
  trx: Transaction,
  { removal, error }: { removal: Removal; error?: string },
): Promise<void> {
  const { agentId, reason, resource } = removal;
  const { kind, id, name } = resource;
  return audit(trx, {
    actor: 'service',
    action: error === undefined ? 'sweep.remove' : 'sweep.remove-failed',
    agentId,
    details: { kind, id, name, reason, ...(error === undefined ? {} : { error }) },
  });
}
