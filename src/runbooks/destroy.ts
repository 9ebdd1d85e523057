import { z } from 'zod';
import { markGivenBack } from '../agents/adoptions.ts';
import { evidenceSchema, issueReceipt } from '../agents/receipts.ts';
import { giveSnapshotsUp } from '../agents/snapshots.ts';
import { getAgent, markDestroyed, markDestroying, recordDestroyFailure } from '../agents/store.ts';
import { repeatLater } from '../operations/consequences.ts';
import type { Ending } from '../operations/definition.ts';
import { endUnfinished } from '../operations/endings.ts';
import { defineOperation } from '../operations/registry.ts';
import { giveSlotUp, markAdopted } from '../slots/claimed.ts';
import { endDrill } from './steps/end-drill.ts';
import { keepLastSnapshot } from './steps/last-snapshot.ts';
import { removeEverything } from './steps/remove-everything.ts';

const effect = z.object({
  kind: z.literal('destroyed'),
  // Runners of earlier versions send none. Evidence that cannot be read must not keep an agent from its end.
  evidence: evidenceSchema.optional().catch(undefined),
});

/**
 * Removes everything an agent has, for good: server, keys, device, stack, history and locks. Where its plan
 * says so, a last snapshot of its disk is kept before that, for a time.
 */
export const destroy = defineOperation<z.infer<typeof effect>>({
  kind: 'destroy',
  rank: 90,
  from: ['requested', 'provisioning', 'running', 'stopping', 'stopped', 'suspended', 'hibernated', 'failed'],
  hastenedIn: 'destroying',
  freesResources: true,
  knowsForeignServers: true,
  removesAgent: true,
  takesFromCustomer: true,
  // A last snapshot may take an hour.
  limitSeconds: 90 * 60,
  needsRoute: false,
  // The agent's other operations have become pointless.
  request: async (trx, agentId, own) => {
    await endUnfinished(trx, agentId, own);
    await giveSlotUp(trx, agentId, 'the agent that had claimed it is destroyed');
    await markDestroying(trx, agentId);
  },
  asksAgain: true,
  effect,
  succeed: async (trx, agentId, { evidence }) => {
    await giveSnapshotsUp(trx, agentId);
    await issueReceipt(trx, { agentId, kind: 'destroy', evidence });
    await markDestroyed(trx, agentId);
    await markGivenBack(trx, agentId);
    await markAdopted(trx, agentId);
  },
  reported: () => ({ kind: 'destroyed' }),
  lastFailure: failed,
  cancel: failed,
  cli: "delete the agent's server, keys and device",
  isOnList: true,
  confirm: {
    loses: 'with everything on its server (one that it is still adopting is given back instead)',
    explain: (agentId) =>
      'This deletes its server with all data (but a last snapshot, where its plan has one), its keys, its device on the tailnet and its stack. A server whose adoption is not complete is its owner’s: it is given back and not deleted. An id is never used ' +
      `again: a later order for ${agentId} will need attention.`,
  },
  run: (parts) => async (attempt) => {
    const isForeign = attempt.agent.inputs?.adopting !== undefined;
    const kept = isForeign ? undefined : await keepLastSnapshot(parts, attempt);
    await endDrill(parts, attempt);
    return { kind: 'destroyed', evidence: await removeEverything(parts, attempt, kept) };
  },
});

async function failed(ending: Ending): Promise<void> {
  // One that did not pass its last check has removed nothing.
  if ((await getAgent(ending.trx, ending.agentId)).status !== 'destroying') return;
  await recordDestroyFailure(ending.trx, ending.agentId, ending.error);
  await repeatLater(ending, 'destroy');
}
