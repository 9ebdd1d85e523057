import { z } from 'zod';
import { markStarted } from '../agents/lifecycle.ts';
import { defineOperation } from '../operations/registry.ts';
import { presentDevice } from './steps/device.ts';
import { untilHealthy } from './steps/healthy.ts';
import { switchOn } from './steps/power.ts';
import { bringUpToDate } from './steps/recovery.ts';
import { findServer } from './steps/server-attributes.ts';

const effect = z.object({ kind: z.literal('started') });

/**
 * A stopped agent's server is switched on and answers where it did before. A kill leaves at most a server
 * that is on under a row that says `stopped`; the next attempt finds it on and waits for its answer.
 */
export const start = defineOperation<z.infer<typeof effect>>({
  kind: 'start',
  rank: 10,
  from: ['stopped'],
  exclusive: true,
  limitSeconds: 10 * 60,
  effect,
  succeed: markStarted,
  reported: () => ({ kind: 'started' }),
  cli: 'switch it on and wait until it is healthy',
  isOnList: true,
  run: (parts) => async (attempt) => {
    attempt.step('starting_server');
    const server = await findServer(parts, attempt);
    const { tailnetIp } = await presentDevice(parts.tailscale, attempt);
    await switchOn(parts, attempt, server);
    attempt.step('verifying');
    await untilHealthy(parts, attempt, { serverId: server.id, tailnetIp });
    attempt.step('refreshing');
    await bringUpToDate(parts.executor, attempt);
    return { kind: 'started' };
  },
});
