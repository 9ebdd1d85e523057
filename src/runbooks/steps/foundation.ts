import { type FoundationInputs, firewallName, foundationName } from '../../../stacks/inputs.ts';
import { errorMessage, LostError } from '../../errors.ts';
import type { HetznerClient } from '../../hetzner/hetzner.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import { poll } from '../../processes/poll.ts';
import type { StackEngine } from '../../pulumi/engine/stack-engine.ts';
import type { FoundationStore, Holder } from './foundation-store.ts';
import { clearPending, withLockRecovery } from './recovery.ts';

export interface FoundationDeps {
  foundations: FoundationStore;
  executor: StackEngine;
  hetzner: Pick<HetznerClient, 'findFirewall'>;
}

/**
 * Updates the foundation of the agent's project if it is outdated, e.g. encrypted by a former secrets
 * provider: without a new agent, nothing else would. Its failure says nothing about the agent.
 */
export async function updateFoundation(
  { state, ensureFoundation }: Pick<RunbookParts, 'state' | 'ensureFoundation'>,
  attempt: Attempt,
): Promise<void> {
  const { project } = attempt.agent;
  try {
    const isKnown = (await state.secretsProvider(foundationName(project))) !== undefined;
    if (isKnown) await ensureFoundation(attempt, project);
  } catch (error) {
    attempt.signal.throwIfAborted();
    if (error instanceof LostError) throw error;
    attempt.log(`the foundation of project ${project} stays as it was: ${errorMessage(error)}`);
  }
}

const INTERVAL_MS = 200;

/**
 * Creates the firewall that the project's agents share, unless it exists. One attempt at a time works on a
 * project's foundation; the others wait, and one of them takes over if it is lost.
 * @returns the firewall's id at Hetzner
 */
export async function ensureFoundation(deps: FoundationDeps, run: Attempt, project: string): Promise<number> {
  const inputs = { project };
  const ask = async () => {
    const known = await deps.foundations.find(inputs);
    if (known !== undefined && (await stillThere(deps, run, project, known))) return known;
    const isOurs = await deps.foundations.take(toHolder(run), { inputs, stale: known });
    return isOurs ? makeFoundation(deps, run, inputs) : undefined;
  };
  const firewallId = await poll(ask, { intervalMs: INTERVAL_MS, signal: run.signal });
  // Without a time limit, poll() returns an answer or throws.
  return firewallId!;
}

/** After a failed attempt, checks that the firewall has not been deleted. */
async function stillThere(
  { hetzner }: FoundationDeps,
  run: Attempt,
  project: string,
  firewallId: number,
): Promise<boolean> {
  if (run.operation.attempt === 1) return true;
  return (await hetzner.findFirewall(firewallName(project)))?.id === firewallId;
}

async function makeFoundation(
  { foundations, executor, hetzner }: FoundationDeps,
  run: Attempt,
  inputs: FoundationInputs,
): Promise<number> {
  run.log(`The project ${inputs.project} has no firewall yet: creating its foundation`);
  // Adopt a firewall that an earlier attempt created but did not record.
  const firewall = await hetzner.findFirewall(firewallName(inputs.project));
  const program = {
    stack: 'foundation' as const,
    inputs,
    ...(firewall === undefined ? {} : { found: { firewallId: String(firewall.id) } }),
  };
  const stackName = foundationName(inputs.project);
  // Removes a deleted firewall, and what a killed attempt had begun to create, from the state.
  const exists = run.operation.attempt > 1 && (await clearPending(executor, run, stackName));
  const result = await withLockRecovery(executor, run, stackName, () =>
    executor.up(run, program, { mayBeNew: !exists }),
  );
  const firewallId = Number(result.outputs.firewallId);
  await foundations.made(toHolder(run), { inputs, firewallId });
  return firewallId;
}

function toHolder({ operation }: Attempt): Holder {
  return { operationId: operation.operation_id, attempt: operation.attempt };
}
