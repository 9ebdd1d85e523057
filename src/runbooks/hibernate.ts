import { z } from 'zod';
import type { AgentInputs } from '../../stacks/inputs.ts';
import { serverIdSchema } from '../../stacks/outputs.ts';
import { endHibernation, markHibernated } from '../agents/hibernation.ts';
import { type Evidence, evidenceSchema, issueReceipt } from '../agents/receipts.ts';
import type { Snapshot } from '../hetzner/hetzner.ts';
import { repeatLater } from '../operations/consequences.ts';
import type { Ending } from '../operations/definition.ts';
import { defineOperation } from '../operations/registry.ts';
import { recorded } from './steps/agent-program.ts';
import { keepSnapshot } from './steps/keep-snapshot.ts';
import { lookUpServer } from './steps/own-server.ts';
import { clearPending } from './steps/recovery.ts';
import { removeServer } from './steps/remove-server.ts';
import { removeSnapshots } from './steps/snapshots.ts';

const effect = z.object({
  kind: z.literal('hibernated'),
  snapshotId: serverIdSchema,
  evidence: evidenceSchema.optional().catch(undefined),
});

/**
 * Keeps a snapshot of a suspended agent's disk and deletes its server, which Hetzner bills in full even while
 * it is off. The server is deleted only after the snapshot was verified and recorded, so at every moment
 * there is one of the two. From the record on, every end of this operation leaves the agent hibernated.
 */
export const hibernate = defineOperation<z.infer<typeof effect>>({
  kind: 'hibernate',
  rank: 76,
  from: ['suspended'],
  resumesFrom: ['hibernated'],
  // Its snapshot would be outdated if the agent has run since.
  retryFrom: [],
  exclusive: true,
  followsHolds: true,
  endsOnRelease: true,
  takesFromCustomer: true,
  limitSeconds: 90 * 60,
  needsRoute: false,
  effect,
  succeed: async (trx, agentId, { snapshotId, evidence }) => {
    // An attempt after a kill finds the server gone, and its receipt issued or without evidence.
    await issueReceipt(trx, { agentId, kind: 'hibernate', evidence });
    await markHibernated(trx, agentId, { snapshotId });
  },
  // Without a recorded snapshot, nothing has been proven.
  reported: () => ({ kind: 'none' }),
  lastFailure: async (ending) => {
    // The server may still exist and be billed.
    if (await end(ending)) await repeatLater(ending, 'hibernate');
  },
  cancel: async (ending) => void (await end(ending)),
  cli: 'keep a snapshot of a suspended agent and delete its server, which is billed in full',
  run: (parts) => async (attempt) => {
    attempt.step('preparing');
    const { known, keys } = recorded(parts.vault, attempt);
    // Also on a first attempt: it may follow an operation that failed half-way.
    const exists = await clearPending(parts.executor, attempt);
    const server = await lookUpServer(parts.hetzner, attempt.agent);
    const snapshot = await keepSnapshot(parts, attempt, server);
    attempt.step('deleting_server');
    const inputs: AgentInputs = { ...known, hibernated: { snapshotId: snapshot.id } };
    const gone = await removeServer(parts, attempt, { inputs, keys, mayBeNew: !exists });
    await removeSnapshots(parts, attempt, { keep: snapshot.id });
    return { kind: 'hibernated', snapshotId: snapshot.id, evidence: toEvidence(snapshot, gone) };
  },
});

const end = ({ trx, agentId, error }: Ending): Promise<boolean> => endHibernation(trx, agentId, error);

/**
 * What the receipt says: the server whose disk the snapshot holds, also if an earlier attempt has deleted it,
 * and when Hetzner answered that it is gone.
 */
function toEvidence({ serverId, name }: Snapshot, gone: Date): Evidence {
  const removed =
    serverId === null ? [] : [{ cloud: 'hetzner', kind: 'server', id: serverId, name } as const];
  return { removed, gone: { hetzner: gone.toISOString() } };
}
