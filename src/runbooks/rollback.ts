import { z } from 'zod';
import { getAgent, markRolledBack, recordRollbackFailure } from '../agents/store.ts';
import { repeatLater } from '../operations/consequences.ts';
import type { Ending } from '../operations/definition.ts';
import { defineOperation } from '../operations/registry.ts';
import { removeEverything } from './steps/remove-everything.ts';

const effect = z.object({ kind: z.literal('rolled-back') });

/**
 * After the last failed try of a provision: everything billed goes, the failed agent stays and can be
 * provisioned again.
 */
export const rollback = defineOperation<z.infer<typeof effect>>({
  kind: 'rollback',
  rank: 80,
  priority: 1,
  freesResources: true,
  limitSeconds: 20 * 60,
  needsRoute: false,
  effect,
  succeed: markRolledBack,
  reported: () => ({ kind: 'rolled-back' }),
  lastFailure: failed,
  cancel: failed,
  run: (parts) => async (attempt) => {
    // Asked to be provisioned again, or destroyed, since: what there is belongs to that operation.
    if (attempt.agent.status !== 'failed') return { kind: 'none' };
    await removeEverything(parts, attempt);
    return { kind: 'rolled-back' };
  },
});

async function failed(ending: Ending): Promise<void> {
  const { trx, agentId, error } = ending;
  // Asked to be destroyed, or provisioned again, since: that operation frees or uses what there is.
  if ((await getAgent(trx, agentId)).status !== 'failed') return;
  await recordRollbackFailure(trx, agentId, error);
  await repeatLater(ending, 'rollback');
}
