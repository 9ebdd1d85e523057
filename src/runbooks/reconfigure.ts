import { z } from 'zod';
import type { AgentInputs } from '../../stacks/inputs.ts';
import { markReconfigured, markRestarted } from '../agents/lifecycle.ts';
import { agentOutputsSchema } from '../agents/outputs.ts';
import type { AgentKeys } from '../agents/secrets.ts';
import type { Attempt } from '../operations/attempt.ts';
import { defineOperation } from '../operations/registry.ts';
import type { RunbookParts } from '../operations/runbook-parts.ts';
import { followSteps } from './provision.ts';
import { recorded, toProgram } from './steps/agent-program.ts';
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
 * Runs this installation's version of the playbook again on the existing server. The operation's id is one of
 * the stack's inputs and triggers the run. So an attempt after a kill runs the playbook from the start if its
 * resource is not in the state, and does nothing if the playbook had finished.
 */
export const reconfigure = defineOperation<z.infer<typeof effect>>({
  kind: 'reconfigure',
  rank: 40,
  from: ['running'],
  exclusive: true,
  runsAgent: true,
  limitSeconds: 20 * 60,
  effect,
  succeed: (trx, agentId, effect) =>
    effect.kind === 'restarted'
      ? markRestarted(trx, agentId)
      : markReconfigured(trx, agentId, effect.outputs),
  // A runner reports success only after a healthy answer, and a reconfigure changes no address.
  reported: () => ({ kind: 'restarted' }),
  cli: "run this installation's version of the playbook again",
  run: (parts) => async (attempt) => {
    attempt.step('preparing');
    await findServer(parts, attempt);
    const device = await presentDevice(parts.tailscale, attempt);
    const { inputs, keys } = await prepare(parts, attempt);
    const found = await findResources(parts.hetzner, attempt.agent);
    const program = { ...toProgram(inputs, keys, found), device };
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

/** Records the inputs before applying them, so that each attempt uses the same. The server's type stays. */
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
