import { z } from 'zod';
import { forgetHealth, markRestarted } from '../agents/lifecycle.ts';
import { defineOperation } from '../operations/registry.ts';
import { presentDevice } from './steps/device.ts';
import { untilHealthy } from './steps/healthy.ts';
import { switchOff, switchOn } from './steps/power.ts';
import { findServer } from './steps/server-attributes.ts';

const effect = z.object({ kind: z.literal('restarted') });

/**
 * Switches the server off and on again instead of rebooting it: Hetzner confirms only that a reboot was
 * requested, and an agent that answers may not have gone down yet. After a kill in between, the next attempt
 * finds the server off and switches it on.
 */
export const restart = defineOperation<z.infer<typeof effect>>({
  kind: 'restart',
  rank: 30,
  leavesDisk: true,
  from: ['running'],
  exclusive: true,
  leastRole: 'support',
  runsAgent: true,
  limitSeconds: 10 * 60,
  begin: forgetHealth,
  effect,
  succeed: markRestarted,
  reported: () => ({ kind: 'restarted' }),
  cli: 'switch it off and on again',
  run: (parts) => async (attempt) => {
    attempt.step('stopping_server');
    const server = await findServer(parts, attempt);
    const { tailnetIp } = await presentDevice(parts.tailscale, attempt);
    await switchOff(parts, attempt, server);
    attempt.step('starting_server');
    await switchOn(parts, attempt, server);
    attempt.step('verifying');
    await untilHealthy(parts, attempt, { serverId: server.id, tailnetIp });
    return { kind: 'restarted' };
  },
});
