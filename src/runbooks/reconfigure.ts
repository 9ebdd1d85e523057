import { z } from 'zod';
import type { AgentInputs, FoundResources } from '../../stacks/inputs.ts';
import { completeInputs } from '../agents/inputs.ts';
import { markReconfigured, markRestarted } from '../agents/lifecycle.ts';
import { agentOutputsSchema } from '../agents/outputs.ts';
import type { AgentKeys, Vault } from '../agents/secrets.ts';
import type { Attempt } from '../operations/attempt.ts';
import { defineOperation } from '../operations/registry.ts';
import type { RunbookParts } from '../operations/runbook-parts.ts';
import { followSteps } from './provision.ts';
import { presentDevice } from './steps/device.ts';
import { untilHealthy } from './steps/healthy.ts';
import { agentOutputs } from './steps/outputs.ts';
import { findResources } from './steps/own-server.ts';
import { clearPending, withLockRecovery } from './steps/recovery.ts';
import { findServer } from './steps/server-attributes.ts';

const effect = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('reconfigured'), outputs: agentOutputsSchema }),
  z.object({ kind: z.literal('restarted') }),
]);

/**
 * The playbook is run again on the server that is there, in the version of this installation. What asks for
 * that is the operation's id among the stack's inputs: an attempt that follows a kill finds the playbook
 * begun (its resource is not in the state, and it is run from the start) or finished (the resource is there,
 * and nothing is done), never forgotten.
 */
export const reconfigure = defineOperation<z.infer<typeof effect>>({
  kind: 'reconfigure',
  rank: 40,
  from: ['running'],
  exclusive: true,
  limitSeconds: 20 * 60,
  effect,
  succeed: (trx, agentId, effect) =>
    effect.kind === 'restarted'
      ? markRestarted(trx, agentId)
      : markReconfigured(trx, agentId, effect.outputs),
  // A runner reports success only after a healthy answer, and this changes no address.
  reported: () => ({ kind: 'restarted' }),
  cli: "run this installation's version of the playbook again",
  run: (parts) => async (attempt) => {
    attempt.step('preparing');
    await findServer(parts, attempt);
    const device = await presentDevice(parts.tailscale, attempt);
    const { inputs, keys } = await prepare(parts, attempt);
    const found = await findResources(parts.hetzner, attempt.agent);
    const program = { ...programOf(inputs, keys, found), device };
    if (attempt.operation.attempt > 1) await clearPending(parts.executor, attempt);
    attempt.step('configuring');
    const result = await withLockRecovery(parts.executor, attempt, attempt.agent.stack_name, () =>
      parts.executor.up(attempt, program, {
        mayBeNew: false,
        keys,
        onProgress: (progress) => followSteps(attempt, progress),
      }),
    );
    const outputs = { ...agentOutputs(result.outputs), tailnetNodeId: device.nodeId };
    attempt.step('verifying');
    await untilHealthy(parts, attempt, outputs);
    return { kind: 'reconfigured', outputs };
  },
});

/**
 * Writes down what is about to be applied; the same at every repetition. What the server consists of stays as
 * it was bought.
 */
async function prepare(
  parts: RunbookParts,
  attempt: Attempt,
): Promise<{ inputs: AgentInputs; keys: AgentKeys }> {
  const { known, keys } = recorded(parts.vault, attempt);
  const inputs: AgentInputs = {
    ...known,
    healthPort: parts.settings.healthPort,
    configurationVersion: parts.settings.configurationVersion,
    configuredBy: attempt.operation.operation_id,
  };
  await parts.recordInputs(attempt, { inputs, secrets: parts.vault.seal(inputs.agentId, keys) });
  return { inputs, keys };
}

/** What was written down of an agent before its server was made. */
export function recorded(vault: Vault, { agent }: Attempt): { known: AgentInputs; keys: AgentKeys } {
  if (agent.inputs === null || agent.secrets === null)
    throw new Error(`Nothing is recorded of agent ${agent.agent_id}, though it has a server`);
  return {
    known: completeInputs(agent.agent_id, agent.inputs),
    keys: vault.open(agent.agent_id, agent.secrets),
  };
}

export function programOf(inputs: AgentInputs, keys: AgentKeys, found: FoundResources) {
  return { stack: 'agent' as const, inputs, secrets: { hostPrivateKey: keys.hostPrivateKey }, found };
}
