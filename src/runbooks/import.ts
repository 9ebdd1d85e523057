import { z } from 'zod';
import { agentOutputsSchema } from '../agents/outputs.ts';
import { recordAdopted, recordUnhealthy } from '../agents/store.ts';
import { defineOperation } from '../operations/registry.ts';
import { importStack } from './steps/import-stack.ts';

const effect = z.object({ kind: z.literal('imported'), outputs: agentOutputsSchema });

/**
 * Makes the stack of an agent whose state was lost, from what exists at the clouds: nothing there is made,
 * changed or deleted. Each attempt starts at the top and imports what an earlier one has not.
 */
export const importAgent = defineOperation<z.infer<typeof effect>>({
  kind: 'import',
  rank: 6,
  priority: -1,
  needsRoute: false,
  limitSeconds: 10 * 60,
  effect,
  succeed: (trx, agentId, { outputs }) => recordAdopted(trx, agentId, outputs),
  reported: () => ({ kind: 'none' }),
  // The agent runs all the same; what needs its stack fails, and says why.
  lastFailure: ({ trx, agentId, error }) => recordUnhealthy(trx, agentId, error),
  cancel: async () => {},
  run: (parts) => async (attempt) => {
    const outputs = await importStack(parts, attempt);
    return outputs === undefined ? { kind: 'none' } : { kind: 'imported', outputs };
  },
});
