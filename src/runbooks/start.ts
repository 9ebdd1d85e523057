import { z } from 'zod';
import { markStarted } from '../agents/lifecycle.ts';
import { defineOperation } from '../operations/registry.ts';
import { turnOn } from './steps/on-off.ts';

const effect = z.object({ kind: z.literal('started') });

/**
 * Switches a stopped agent's server on and waits until it answers at its old address. After a kill, the
 * server may be on while the row says `stopped`; the next attempt then waits for its answer.
 */
export const start = defineOperation<z.infer<typeof effect>>({
  kind: 'start',
  rank: 10,
  leavesDisk: true,
  from: ['stopped'],
  exclusive: true,
  runsAgent: true,
  limitSeconds: 10 * 60,
  effect,
  succeed: markStarted,
  reported: () => ({ kind: 'started' }),
  cli: 'switch it on and wait until it is healthy',
  isOnList: true,
  run: (parts) => async (attempt) => {
    await turnOn(parts, attempt);
    return { kind: 'started' };
  },
});
