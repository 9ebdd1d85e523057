import { agentName } from '../../../stacks/inputs.ts';
import type { AgentOutputs } from '../../agents/outputs.ts';
import { PermanentError } from '../../errors.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import { StackExistsError, StackNotFoundError } from '../../pulumi/errors.ts';
import { recorded, toProgram } from './agent-program.ts';
import { identify } from './device.ts';
import { untilHealthy } from './healthy.ts';
import { importStack } from './import-stack.ts';
import { agentOutputs } from './outputs.ts';
import { findResources } from './own-server.ts';
import { clearPending, withLockRecovery } from './recovery.ts';
import { findServer } from './server-attributes.ts';

/**
 * Adopts the slot that the agent runs on: labels, stack, and the program with the agent's inputs, which also
 * configures the server once more, as the agent's. Each step does nothing where an earlier attempt has done
 * it.
 * @returns the outputs of the agent's stack; undefined if nothing is to be adopted
 */
export async function adoptSlot(parts: RunbookParts, attempt: Attempt): Promise<AgentOutputs | undefined> {
  const slotId = await parts.slots?.findUnadopted(attempt);
  if (slotId === undefined) return undefined;
  attempt.step('adopting');
  await findServer(parts, attempt);
  // Restores the label of the SSH key.
  const found = await findResources(parts.hetzner, attempt.agent);
  if (found.serverId === undefined) throw new PermanentError('The server is no longer at Hetzner');
  await renameStack(parts, attempt, agentName(slotId));
  // Clears what a killed attempt had begun.
  const isLost = attempt.operation.attempt > 1 && !(await clearPending(parts.executor, attempt));
  if (isLost) await importSlot(parts, attempt, slotId);
  const { known, keys } = recorded(parts.vault, attempt);
  const program = { ...toProgram(known, keys, {}), device: deviceOf(attempt) };
  const up = () =>
    withLockRecovery(parts.executor, attempt, attempt.agent.stack_name, () =>
      parts.executor.up(attempt, program, { mayBeNew: false, keys }),
    );
  const result = await up().catch(async (error: unknown) => {
    if (!(error instanceof StackNotFoundError)) throw error;
    await importSlot(parts, attempt, slotId);
    return up();
  });
  attempt.step('verifying');
  const outputs = await identify(parts.tailscale, attempt, agentOutputs(result.outputs));
  await untilHealthy(parts, attempt, outputs);
  return outputs;
}

/** A slot that was found again after its stack was lost: that is made from what exists, as the slot's. */
async function importSlot(parts: RunbookParts, attempt: Attempt, slotId: string): Promise<void> {
  await importStack(parts, attempt, { owner: slotId });
  await renameStack(parts, attempt, agentName(slotId));
}

/** Gives the stack of a slot that is not adopted yet the agent's name, before anything else is done to it. */
export async function takeStackOver(parts: RunbookParts, attempt: Attempt): Promise<void> {
  const slotId = await parts.slots?.findUnadopted(attempt);
  if (slotId !== undefined) await renameStack(parts, attempt, agentName(slotId));
}

/** The device has its readable name from the row: the stack's outputs have it before Tailscale does. */
function deviceOf({ agent }: Attempt) {
  const { agent_id: agentId, tailnet_ip: tailnetIp, tailnet_name: name } = agent;
  const tailnetName = [agentName(agentId), ...(name ?? '').split('.').slice(1)].join('.');
  return { tailnetIp: tailnetIp ?? '', tailnetName };
}

/**
 * Gives the slot's stack the agent's name. The CLI writes the new state before it removes the old one: where
 * both exist, the new one is whole.
 */
async function renameStack(parts: RunbookParts, attempt: Attempt, from: string): Promise<void> {
  const { stack_name: to } = attempt.agent;
  try {
    await withLockRecovery(parts.executor, attempt, from, () => parts.executor.rename(attempt, from, to));
  } catch (error) {
    const isDone = error instanceof StackNotFoundError || error instanceof StackExistsError;
    if (!isDone) throw error;
  }
  // Backups and locks of the old name, and its state if the rename was killed before its end.
  await parts.state.forget(from);
}
