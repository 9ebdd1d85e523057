import { z } from 'zod';
import { markResumed } from '../agents/lifecycle.ts';
import { defineOperation } from '../operations/registry.ts';
import { turnOn } from './steps/on-off.ts';

const effect = z.object({ kind: z.literal('resumed') });

/** A running agent resumes too if a suspend of it has failed half-way. */
const RESUMES_FROM = ['suspended', 'running'] as const;

/**
 * Switches a suspended agent's server on once nothing holds it any more, and waits until it answers at its
 * old address. After its last failure the agent stays suspended, perhaps with its server on, and another
 * resume follows after a pause. If a hold is placed meanwhile, it ends as usual and a suspend follows.
 */
export const resume = defineOperation<z.infer<typeof effect>>({
  kind: 'resume',
  rank: 74,
  leavesDisk: true,
  resumesFrom: RESUMES_FROM,
  retryFrom: RESUMES_FROM,
  exclusive: true,
  runsAgent: true,
  followsHolds: true,
  limitSeconds: 10 * 60,
  effect,
  succeed: markResumed,
  reported: () => ({ kind: 'resumed' }),
  run: (parts) => async (attempt) => {
    await turnOn(parts, attempt);
    return { kind: 'resumed' };
  },
});
