import type { Runbook } from '../operations/attempt.ts';
import type { StackEngine } from '../pulumi/engine/stack-engine.ts';
import { type PowerDeps, switchOff } from './steps/power.ts';
import { bringUpToDate } from './steps/recovery.ts';
import { findServer } from './steps/server-attributes.ts';

export interface StopDeps extends PowerDeps {
  executor: StackEngine;
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
