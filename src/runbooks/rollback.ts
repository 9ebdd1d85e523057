import { z } from 'zod';
import { getAgent, markRolledBack, recordRollbackFailure } from '../agents/store.ts';
import { repeatLater } from '../operations/consequences.ts';
import type { Ending } from '../operations/definition.ts';
import { defineOperation } from '../operations/registry.ts';
import { removeEverything } from './steps/remove-everything.ts';

const effect = z.object({ kind: z.literal('rolled-back') });

/**
 * Deletes everything billed after a provision has failed for the last time. The agent stays as `failed` and
 * can be provisioned again.
 */
export const rollback = defineOperation<z.infer<typeof effect>>({
  kind: 'rollback',
  rank: 80,
  priority: 1,
  freesResources: true,
  knowsForeignServers: true,
  limitSeconds: 20 * 60,
  needsRoute: false,
  effect,
  succeed: markRolledBack,
  reported: () => ({ kind: 'rolled-back' }),
  lastFailure: failed,
  cancel: failed,
  run: (parts) => async (attempt) => {
    // A retry or a destroy was requested since: the resources belong to that operation.
    if (attempt.agent.status !== 'failed') return { kind: 'none' };
    await removeEverything(parts, attempt);
    return { kind: 'rolled-back' };
  },
});

async function failed(ending: Ending): Promise<void> {
  const { trx, agentId, error } = ending;
  // A retry or a destroy was requested since, which uses or deletes the resources.
  if ((await getAgent(trx, agentId)).status !== 'failed') return;
  await recordRollbackFailure(trx, agentId, error);
  await repeatLater(ending, 'rollback');
}
