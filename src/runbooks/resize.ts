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
import { recorded, toProgram } from './steps/agent-program.ts';
import { type PresentDevice, presentDevice } from './steps/device.ts';
import { untilHealthy } from './steps/healthy.ts';
import { agentOutputs } from './steps/outputs.ts';
import { findResources } from './steps/own-server.ts';
import { switchOff, switchOn } from './steps/power.ts';
import { clearPending, withLockRecovery } from './steps/recovery.ts';
import { findServer } from './steps/server-attributes.ts';
import { listServerChoices } from './steps/server-choice.ts';

const effect = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('resized'), outputs: agentOutputsSchema, plan: planSchema }),
  z.object({ kind: z.literal('restarted') }),
]);

/**
 * Changes the server to another plan's type; the disk keeps its size and its data. Row and inputs get the new
 * plan only at the end. A killed attempt is repeated. After a cancelled one, the next `up` changes the server
 * back to the recorded plan.
 */
export const resize = defineOperation<z.infer<typeof effect>>({
  kind: 'resize',
  rank: 50,
  from: ['running'],
  exclusive: true,
  runsAgent: true,
  changesPrice: true,
  waitsUntouched: true,
  limitSeconds: 20 * 60,
  parameters: z.object({ plan: planSchema }),
  refusal: (agent, { plan }) =>
    plan === agent.plan ? `Agent ${agent.agent_id} already has the plan ${agent.plan}` : undefined,
  begin: forgetHealth,
  effect,
  succeed: (trx, agentId, effect, own) =>
    effect.kind === 'restarted' ? markRestarted(trx, agentId) : markResized(trx, agentId, effect, own),
  // A runner reports success only after a healthy answer, and a resize changes no address.
  reported: () => ({ kind: 'restarted' }),
  cli: 'change its plan: a server of that size with the same disk',
  summary: 'Change the plan: the server gets that plan’s size and keeps its disk',
  run: (parts) => async (attempt) => {
    attempt.step('preparing');
    const server = await findServer(parts, attempt);
    const { plan, inputs } = await prepareInputs(parts, attempt).catch(async (error) => {
      // An earlier attempt may have switched it off, and this one may wait for a long time.
      if (attempt.operation.attempt > 1) await switchOn(parts, attempt, server);
      throw error;
    });
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

/** @throws ShortageError if Hetzner has none of the plan's servers: the resize waits, and nothing is off. */
async function prepareInputs(parts: RunbookParts, attempt: Attempt) {
  const { known } = recorded(parts.vault, attempt);
  const plan = planSchema.parse(attempt.operation.parameters.plan);
  const [choice] = await listServerChoices(parts.hetzner, parts.settings.planServers, {
    plan,
    location: known.location,
  });
  const serverType = choice ?? serverFor(plan, known.location).serverType;
  return { plan, inputs: { ...known, serverType, keepDisk: true } satisfies AgentInputs };
}

/** Checked first, so that the agent is not switched off for an impossible resize. */
async function refuseSmallDisk(
  { hetzner }: RunbookParts,
  server: Server,
  { serverType }: AgentInputs,
): Promise<void> {
  const type = await hetzner.findServerType(serverType);
  if (type === undefined) throw new PermanentError(`Hetzner has no server type ${serverType}`);
  if (type.diskGb < server.diskGb)
    throw new PermanentError(
      `${serverType} has a disk of ${type.diskGb} GB, but the server's has ${server.diskGb} GB: a disk cannot shrink`,
    );
}

/** Changes the server's type. On failure, e.g. because the type is sold out, switches the server on again. */
async function changeType(
  parts: RunbookParts,
  attempt: Attempt,
  { server, inputs, device }: { server: Server; inputs: AgentInputs; device: PresentDevice },
) {
  const { keys } = recorded(parts.vault, attempt);
  const found = await findResources(parts.hetzner, attempt.agent);
  const program = { ...toProgram(inputs, keys, found), device };
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
