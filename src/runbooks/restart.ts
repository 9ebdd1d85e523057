import type { Runbook } from '../operations/attempt.ts';
import { presentDevice } from './steps/device.ts';
import { type HealthDeps, untilHealthy } from './steps/healthy.ts';
import { type PowerDeps, switchOff, switchOn } from './steps/power.ts';
import type { Clouds } from './steps/recovery.ts';
import { findServer } from './steps/server-attributes.ts';

export interface RestartDeps extends Clouds, PowerDeps, HealthDeps {
  hetzner: Clouds['hetzner'];
}

/**
 * The server goes off and on again: Hetzner says of a server that it is off, but of a reboot only that it was asked for, and an agent that
 * answers may not have gone down yet. A kill between the two leaves it off; the next attempt finds it off and switches it on.
 */
export function createRestart(deps: RestartDeps): Runbook {
  return async (run) => {
    run.step('stopping_server');
    const server = await findServer(deps, run);
    const { tailnetIp } = await presentDevice(deps.tailscale, run);
    await switchOff(deps, run, server);
    run.step('starting_server');
    await switchOn(deps, run, server);
    run.step('verifying');
    await untilHealthy(deps, run, { serverId: server.id, tailnetIp });
    return { kind: 'restarted' };
  };
}
