import { setTimeout as sleep } from 'node:timers/promises';
import { signal } from '../../src/processes/find.ts';
import type { ScenarioContext } from './scenario-context.ts';

export const TARGETS = ['everything', 'worker', 'runner', 'cli', 'configure', 'ansible'] as const;
export type Target = (typeof TARGETS)[number];

/**
 * kill -9 of a target: of a child as soon as there is one within `waitMs`, as of short-lived kinds there may
 * be none at the moment. @returns whether there was
 */
export async function kill(context: ScenarioContext, target: Target, waitMs: number): Promise<boolean> {
  if (target === 'everything') {
    await context.installation.killEverything();
    return true;
  }
  if (target === 'worker') {
    await context.installation.workers[0]!.kill();
    return true;
  }
  for (const deadline = Date.now() + waitMs; Date.now() < deadline; await sleep(10)) {
    const [child] = context.installation.children({ kind: target });
    if (child === undefined) continue;
    signal(child.pid, 'SIGKILL');
    return true;
  }
  return false;
}
