import { z } from 'zod';
import type { AgentInputs } from '../../stacks/inputs.ts';
import { forgetHealth, markResized, markRestarted } from '../agents/lifecycle.ts';
import { planSchema } from '../agents/new-agent.ts';
import { agentOutputsSchema } from '../agents/outputs.ts';
import { serverFor } from '../agents/plans.ts';
import { PermanentError } from '../errors.ts';
import type { Server } from '../hetzner/hetzner.ts';
import type { Attempt } from '../operations/attempt.ts';
import { defineOperation } from '../operations/registry.ts';
import type { RunbookParts } from '../operations/runbook-parts.ts';
import { programOf, recorded } from './reconfigure.ts';
import { type PresentDevice, presentDevice } from './steps/device.ts';
import { untilHealthy } from './steps/healthy.ts';
import { agentOutputs } from './steps/outputs.ts';
import { findResources } from './steps/own-server.ts';
import { switchOff, switchOn } from './steps/power.ts';
import { clearPending, withLockRecovery } from './steps/recovery.ts';
import { findServer } from './steps/server-attributes.ts';

const effect = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('resized'), outputs: agentOutputsSchema, plan: planSchema }),
  z.object({ kind: z.literal('restarted') }),
]);

/**
 * The agent's server becomes one of another plan; its disk stays as it was bought, with everything on it. Row
 * and inputs name the new plan only when it is done: a killed attempt is repeated, and one that was ended
 * leaves a server that the next `up` brings back to what the row says.
 */
export const resize = defineOperation<z.infer<typeof effect>>({
  kind: 'resize',
  rank: 50,
  from: ['running'],
  exclusive: true,
  limitSeconds: 20 * 60,
  parameters: z.object({ plan: planSchema }),
  refusal: (agent, { plan }) =>
    plan === agent.plan ? `Agent ${agent.agent_id} has the plan ${agent.plan}` : undefined,
  begin: forgetHealth,
  effect,
  succeed: (trx, agentId, effect) =>
    effect.kind === 'restarted' ? markRestarted(trx, agentId) : markResized(trx, agentId, effect),
  // A runner reports success only after a healthy answer, and this changes no address.
  reported: () => ({ kind: 'restarted' }),
  cli: 'change its plan: a server of that size with the same disk',
  summary: 'Ask for another plan: the server becomes one of that plan, its disk stays',
  run: (parts) => async (attempt) => {
    attempt.step('preparing');
    const server = await findServer(parts, attempt);
    const { plan, inputs } = wanted(parts, attempt);
    await refuseSmallDisk(parts, server, inputs);
    const device = await presentDevice(parts.tailscale, attempt);
    attempt.step('stopping_server');
    await switchOff(parts, attempt, server);
    attempt.step('resizing_server');
    const result = await changeType(parts, attempt, { server, inputs, device });
    const outputs = { ...agentOutputs(result.outputs), tailnetNodeId: device.nodeId };
    attempt.step('starting_server');
    await switchOn(parts, attempt, server);
    attempt.step('verifying');
    await untilHealthy(parts, attempt, outputs);
    const { keys } = recorded(parts.vault, attempt);
    await parts.recordInputs(attempt, { inputs, secrets: parts.vault.seal(inputs.agentId, keys) });
    return { kind: 'resized', outputs, plan };
  },
});

function wanted(parts: RunbookParts, attempt: Attempt) {
  const { known } = recorded(parts.vault, attempt);
  const plan = planSchema.parse(attempt.operation.parameters.plan);
  const { serverType } = serverFor(plan, known.location);
  return { plan, inputs: { ...known, serverType, keepDisk: true } satisfies AgentInputs };
}

/** Found out before the agent is switched off for nothing. */
async function refuseSmallDisk(
  { hetzner }: RunbookParts,
  server: Server,
  { serverType }: AgentInputs,
): Promise<void> {
  const type = await hetzner.findServerType(serverType);
  if (type === undefined) throw new PermanentError(`Hetzner sells no server of type ${serverType}`);
  if (type.diskGb < server.diskGb)
    throw new PermanentError(
      `The disk of ${serverType} has ${type.diskGb} GB, the server's own ${server.diskGb} GB: a disk cannot shrink`,
    );
}

/** A server whose type could not be changed, e.g. since none is to be had, goes on as it was. */
async function changeType(
  parts: RunbookParts,
  attempt: Attempt,
  { server, inputs, device }: { server: Server; inputs: AgentInputs; device: PresentDevice },
) {
  const { keys } = recorded(parts.vault, attempt);
  const found = await findResources(parts.hetzner, attempt.agent);
  const program = { ...programOf(inputs, keys, found), device };
  try {
    if (attempt.operation.attempt > 1) await clearPending(parts.executor, attempt);
    return await withLockRecovery(parts.executor, attempt, attempt.agent.stack_name, () =>
      parts.executor.up(attempt, program, { mayBeNew: false, keys }),
    );
  } catch (error) {
    await switchOn(parts, attempt, server).catch(() => {});
    throw error;
  }
}
