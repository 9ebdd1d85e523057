import type { Executor } from '../executors/local/executor.ts';
import { presentDevice } from './device.ts';
import { type HealthDeps, untilHealthy } from './healthy.ts';
import { type PowerDeps, switchOn } from './power.ts';
import { bringUpToDate, type Clouds } from './recovery.ts';
import type { Runbook } from './run.ts';
import { findServer } from './server-marks.ts';

export interface StartDeps extends Clouds, PowerDeps, HealthDeps {
  hetzner: Clouds['hetzner'];
  executor: Executor;
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
    await untilHealthy(deps, run, { serverId: String(server.id), tailnetIp });
    run.step('refreshing');
    await bringUpToDate(deps.executor, run);
    return { kind: 'started' };
  };
}
