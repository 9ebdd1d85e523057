import { setTimeout as sleep } from 'node:timers/promises';
import type { FoundationInputs } from '../../../stacks/inputs.ts';
import type { HetznerClient } from '../../hetzner/hetzner.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { StackEngine } from '../../pulumi/engine/stack-engine.ts';
import type { FoundationStore, Holder } from './foundation-store.ts';
import { clearPending, withLockRecovery } from './recovery.ts';

export interface FoundationDeps {
  foundations: FoundationStore;
  executor: StackEngine;
  hetzner: Pick<HetznerClient, 'findFirewall'>;
}

const LOOK_MS = 200;

/**
 * The firewall that the project's agents share, made if it is not there.
 * Only one attempt at a time works on a project's foundation; the others wait for it, and succeed it if it is lost.
 * @returns the firewall's id at Hetzner.
 */
export async function ensureFoundation(deps: FoundationDeps, run: Attempt, project: string): Promise<number> {
  const inputs = { project };
  for (;;) {
    const known = await deps.foundations.find(inputs);
    if (known !== undefined && (await stillThere(deps, run, project, known))) return known;
    if (await deps.foundations.take(holderOf(run), { inputs, stale: known }))
      return makeFoundation(deps, run, inputs);
    await sleep(LOOK_MS, undefined, { signal: run.signal });
  }
}

/** After a try that failed the firewall is looked for: one that somebody has deleted is made anew. */
async function stillThere(
  { hetzner }: FoundationDeps,
  run: Attempt,
  project: string,
  firewallId: number,
): Promise<boolean> {
  if (run.operation.attempt === 1) return true;
  return (await hetzner.findFirewall(`agents-${project}`))?.id === firewallId;
}

async function makeFoundation(
  { foundations, executor, hetzner }: FoundationDeps,
  run: Attempt,
  inputs: FoundationInputs,
): Promise<number> {
  run.log(`The project ${inputs.project} has no firewall yet: making its foundation`);
  // One that an earlier try made and could not record is taken over.
  const firewall = await hetzner.findFirewall(`agents-${inputs.project}`);
  const program = {
    stack: 'foundation' as const,
    inputs,
    ...(firewall === undefined ? {} : { found: { firewallId: String(firewall.id) } }),
  };
  // The state learns of a firewall that was deleted, and forgets what a killed try had begun to create.
  const exists = run.operation.attempt > 1 && (await clearPending(executor, run, program));
  const result = await withLockRecovery(executor, run, program, () =>
    executor.up(run, program, { mayBeNew: !exists }),
  );
  const firewallId = Number(result.outputs.firewallId);
  await foundations.made(holderOf(run), { inputs, firewallId });
  return firewallId;
}

function holderOf({ operation }: Attempt): Holder {
  return { operationId: operation.operation_id, attempt: operation.attempt };
}
