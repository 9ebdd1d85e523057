import type { Runbook } from '../operations/attempt.ts';
import type { StackEngine } from '../pulumi/engine/stack-engine.ts';
import { presentDevice } from './steps/device.ts';
import { type HealthDeps, untilHealthy } from './steps/healthy.ts';
import { type PowerDeps, switchOn } from './steps/power.ts';
import { bringUpToDate, type Clouds } from './steps/recovery.ts';
import { findServer } from './steps/server-attributes.ts';

export interface StartDeps extends Clouds, PowerDeps, HealthDeps {
  hetzner: Clouds['hetzner'];
  executor: StackEngine;
}

/**
 * A stopped agent's server is switched on and answers where it did before. A kill leaves at most a server that is on under a row that says
 * `stopped`; the next attempt finds it on and waits for its answer.
 */
export function createStart(deps: StartDeps): Runbook {
  return async (run) => {
    run.step('starting_server');
    const server = await findServer(deps, run);
    const { tailnetIp } = await presentDevice(deps.tailscale, run);
    await switchOn(deps, run, server);
    run.step('verifying');
    await untilHealthy(deps, run, { serverId: server.id, tailnetIp });
    run.step('refreshing');
    await bringUpToDate(deps.executor, run);
    return { kind: 'started' };
  };
}
