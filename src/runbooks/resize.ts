import type { AgentInputs } from '../../stacks/inputs.ts';
import { planSchema } from '../agents/new-agent.ts';
import { serverFor } from '../agents/plans.ts';
import { PermanentError } from '../errors.ts';
import type { Server } from '../hetzner/hetzner.ts';
import type { Run, Runbook } from '../operations/attempt.ts';
import { programOf, type ReconfigureDeps, recorded } from './reconfigure.ts';
import { type PresentDevice, presentDevice } from './steps/device.ts';
import { untilHealthy } from './steps/healthy.ts';
import { agentOutputs } from './steps/outputs.ts';
import { findResources } from './steps/own-server.ts';
import { switchOff, switchOn } from './steps/power.ts';
import { clearPending, withLockRecovery } from './steps/recovery.ts';
import { findServer } from './steps/server-attributes.ts';

/**
 * The agent's server becomes one of another plan; its disk stays as it was bought, with everything on it. Row and inputs name the new plan only when it is
 * done: a killed attempt is repeated, and one that was ended leaves a server that the next `up` brings back to what the row says.
 */
export function createResize(deps: ReconfigureDeps): Runbook {
  return async (run) => {
    run.step('preparing');
    const server = await findServer(deps, run);
    const { plan, inputs } = wanted(deps, run);
    await refuseSmallDisk(deps, server, inputs);
    const device = await presentDevice(deps.tailscale, run);
    run.step('stopping_server');
    await switchOff(deps, run, server);
    run.step('resizing_server');
    const result = await resize(deps, run, { server, inputs, device });
    const outputs = { ...agentOutputs(result.outputs), tailnetNodeId: device.nodeId };
    run.step('starting_server');
    await switchOn(deps, run, server);
    run.step('verifying');
    await untilHealthy(deps, run, outputs);
    const { keys } = recorded(deps.vault, run);
    await deps.recordInputs(run, { inputs, secrets: deps.vault.seal(inputs.agentId, keys) });
    return { kind: 'resized', outputs, plan };
  };
}

function wanted(deps: ReconfigureDeps, run: Run) {
  const { known } = recorded(deps.vault, run);
  const plan = planSchema.parse(run.operation.parameters.plan);
  const { serverType } = serverFor(plan, known.location);
  return { plan, inputs: { ...known, serverType, keepDisk: true } satisfies AgentInputs };
}

/** Found out before the agent is switched off for nothing. */
async function refuseSmallDisk(
  { hetzner }: ReconfigureDeps,
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
async function resize(
  deps: ReconfigureDeps,
  run: Run,
  { server, inputs, device }: { server: Server; inputs: AgentInputs; device: PresentDevice },
) {
  const { keys } = recorded(deps.vault, run);
  const found = await findResources(deps.hetzner, run.agent);
  const program = { ...programOf(inputs, keys, found), device };
  try {
    if (run.operation.attempt > 1) await clearPending(deps.executor, run);
    return await withLockRecovery(deps.executor, run, run.agent.stack_name, () =>
      deps.executor.up(run, program, { mayBeNew: false, keys }),
    );
  } catch (error) {
    await switchOn(deps, run, server).catch(() => {});
    throw error;
  }
}
