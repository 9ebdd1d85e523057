import { z } from 'zod';
import { findStoppingHolds } from '../agents/holds.ts';
import { forgetHealth, markSuspended } from '../agents/lifecycle.ts';
import type { Transaction } from '../database/connect.ts';
import { ConflictError } from '../errors.ts';
import { defineOperation } from '../operations/registry.ts';
import { turnOff } from './steps/on-off.ts';

const effect = z.object({ kind: z.literal('suspended') });

/** The states in which its server may be on, or may be recorded as off although it is on. */
const SUSPENDS_FROM = ['running', 'stopped', 'suspended'] as const;

/**
 * Switches the server of a held agent off, as a stop does, and keeps everything. It begins again from the top
 * after a kill. If the holds are released meanwhile, it ends as usual and a resume follows. Also repeated for
 * a suspended agent whose resume has failed, because its server may be on.
 */
export const suspend = defineOperation<z.infer<typeof effect>>({
  kind: 'suspend',
  rank: 72,
  leavesDisk: true,
  resumesFrom: SUSPENDS_FROM,
  retryFrom: SUSPENDS_FROM,
  exclusive: true,
  followsHolds: true,
  limitSeconds: 10 * 60,
  needsRoute: false,
  beforeRetry: refuseWithoutHolds,
  begin: forgetHealth,
  effect,
  succeed: markSuspended,
  reported: () => ({ kind: 'suspended' }),
  run: (parts) => async (attempt) => {
    await turnOff(parts, attempt);
    return { kind: 'suspended' };
  },
});

async function refuseWithoutHolds(trx: Transaction, agentId: string): Promise<void> {
  if ((await findStoppingHolds(trx, agentId)).length === 0)
    throw new ConflictError(`Nothing holds agent ${agentId} any more: it is not suspended again`);
}
