import { z } from 'zod';
import { beginStop, markStopFailed, markStopped } from '../agents/lifecycle.ts';
import { getAgent } from '../agents/store.ts';
import type { Ending } from '../operations/definition.ts';
import { defineOperation } from '../operations/registry.ts';
import { turnOff } from './steps/on-off.ts';

const effect = z.object({ kind: z.literal('stopped') });

/**
 * Switches the server off. The disk, the addresses and the tailnet device stay, and Hetzner keeps billing in
 * full. Each step is idempotent, so the attempt after a kill starts from the top.
 */
export const stop = defineOperation<z.infer<typeof effect>>({
  kind: 'stop',
  rank: 20,
  leavesDisk: true,
  from: ['running'],
  resumesFrom: ['stopping'],
  exclusive: true,
  takesFromCustomer: true,
  limitSeconds: 10 * 60,
  needsRoute: false,
  begin: beginStop,
  effect,
  succeed: markStopped,
  reported: () => ({ kind: 'stopped' }),
  lastFailure: staysOn,
  cancel: staysOn,
  cli: 'switch its server off; data is kept and billing goes on',
  isOnList: true,
  run: (parts) => async (attempt) => {
    await turnOff(parts, attempt);
    return { kind: 'stopped' };
  },
});

async function staysOn({ trx, agentId, error }: Ending): Promise<void> {
  // Any other status: the stop never began, or a destroy was requested meanwhile.
  if ((await getAgent(trx, agentId)).status === 'stopping') await markStopFailed(trx, agentId, error);
}
