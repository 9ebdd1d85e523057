import type { Executor } from '../executors/local/executor.ts';
import { type PowerDeps, switchOff } from './power.ts';
import { bringUpToDate } from './recovery.ts';
import type { Runbook } from './run.ts';
import { findServer } from './server-marks.ts';

export interface StopDeps extends PowerDeps {
  executor: Executor;
}

/**
 * The server is switched off, and everything of the agent is kept: disk, addresses, its place on the tailnet. Hetzner bills it in full.
 * Each line does nothing where it has been done, so that a kill anywhere is mended by the next attempt beginning at the top.
 */
export function createStop(deps: StopDeps): Runbook {
  return async (run) => {
    run.step('stopping_server');
    await switchOff(deps, run, await findServer(deps, run));
    run.step('refreshing');
    await bringUpToDate(deps.executor, run);
    return { kind: 'stopped' };
  };
}
