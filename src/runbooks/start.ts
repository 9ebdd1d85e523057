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
 * Switches a stopped agent's server on and waits until it answers at its old address. After a kill, the
 * server may be on while the row says `stopped`; the next attempt then waits for its answer.
 */
export const start = defineOperation<z.infer<typeof effect>>({
  kind: 'start',
  rank: 10,
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
