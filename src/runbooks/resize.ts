import { z } from 'zod';
import type { AgentInputs } from '../../stacks/inputs.ts';
import { forgetHealth, markResized, markRestarted } from '../agents/lifecycle.ts';
import { planSchema } from '../agents/new-agent.ts';
import { agentOutputsSchema } from '../agents/outputs.ts';
import { serverFor } from '../agents/plans.ts';
import { PermanentError } from '../errors.ts';
import type { HetznerServer } from '../hetzner/hetzner.ts';
import type { Run } from '../operations/attempt.ts';
import { defineOperation } from '../operations/registry.ts';
import type { RunbookParts } from '../operations/runbook-parts.ts';
import { programOf, recorded } from './reconfigure.ts';
import { type PresentDevice, presentDevice } from './steps/device.ts';
import { untilHealthy } from './steps/healthy.ts';
import { agentOutputs } from './steps/outputs.ts';
import { findResources } from './steps/own-server.ts';
import { switchOff, switchOn } from './steps/power.ts';
import { clearPending, withLockRecovery } from './steps/recovery.ts';
import { findServer } from './steps/server-marks.ts';

const effect = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('resized'), outputs: agentOutputsSchema, plan: planSchema }),
  z.object({ kind: z.literal('restarted') }),
]);

/**
 * The agent's server becomes one of another plan; its disk stays as it was bought, with everything on it. Row and inputs name the new plan only when it is
 * done: a killed attempt is repeated, and one that was ended leaves a server that the next `up` brings back to what the row says.
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
  cli: 'another plan: a server of that size, the same disk',
  summary: 'Ask for another plan: the server becomes one of that plan, its disk stays',
  run: (deps) => async (run) => {
    run.step('preparing');
    const server = await findServer(deps, run);
    const { plan, inputs } = wanted(deps, run);
    await refuseSmallDisk(deps, server, inputs);
    const device = await presentDevice(deps.tailscale, run);
    run.step('stopping_server');
    await switchOff(deps, run, server);
    run.step('resizing_server');
    const result = await changeType(deps, run, { server, inputs, device });
    const outputs = { ...agentOutputs(result.outputs), tailnetNodeId: device.nodeId };
    run.step('starting_server');
    await switchOn(deps, run, server);
    run.step('verifying');
    await untilHealthy(deps, run, outputs);
    const { keys } = recorded(deps.vault, run);
    await deps.recordInputs(run, { inputs, secrets: deps.vault.seal(inputs.agentId, keys) });
    return { kind: 'resized', outputs, plan };
  },
});

function wanted(deps: RunbookParts, run: Run) {
  const { known } = recorded(deps.vault, run);
  const plan = planSchema.parse(run.operation.parameters.plan);
  const { serverType } = serverFor(plan, known.location);
  return { plan, inputs: { ...known, serverType, keepDisk: true } satisfies AgentInputs };
}

/** Found out before the agent is switched off for nothing. */
async function refuseSmallDisk(
  { hetzner }: RunbookParts,
  server: HetznerServer,
  { serverType }: AgentInputs,
): Promise<void> {
  const type = await hetzner.findServerType(serverType);
  if (type === undefined) throw new PermanentError(`Hetzner sells no server of type ${serverType}`);
  if (type.disk < server.primary_disk_size)
    throw new PermanentError(
      `The disk of ${serverType} has ${type.disk} GB, the server's own ${server.primary_disk_size} GB: a disk cannot shrink`,
    );
}

/** A server whose type could not be changed, e.g. since none is to be had, goes on as it was. */
async function changeType(
  deps: RunbookParts,
  run: Run,
  { server, inputs, device }: { server: HetznerServer; inputs: AgentInputs; device: PresentDevice },
) {
  const { keys } = recorded(deps.vault, run);
  const found = await findResources(deps.hetzner, run.agent);
  const program = { ...programOf(inputs, keys, found), device };
  try {
    if (run.operation.attempt > 1) await clearPending(deps.executor, run, program);
    return await withLockRecovery(deps.executor, run, program, () =>
      deps.executor.up(run, program, { mayBeNew: false, keys }),
    );
  } catch (error) {
    await switchOn(deps, run, server).catch(() => {});
    throw error;
  }
}
