import type { AgentInputs, FoundResources } from '../../stacks/inputs.ts';
import { completeInputs } from '../agents/inputs.ts';
import type { AgentKeys, Vault } from '../agents/secrets.ts';
import type { Run, Runbook } from '../operations/attempt.ts';
import type { StackEngine } from '../pulumi/engine/stack-engine.ts';
import { followSteps, type ProvisionSettings, type RecordInputs } from './provision.ts';
import { presentDevice } from './steps/device.ts';
import { type HealthDeps, untilHealthy } from './steps/healthy.ts';
import { agentOutputs } from './steps/outputs.ts';
import { findResources } from './steps/own-server.ts';
import type { PowerDeps } from './steps/power.ts';
import { type Clouds, clearPending, withLockRecovery } from './steps/recovery.ts';
import { findServer } from './steps/server-attributes.ts';

export interface ReconfigureDeps extends Clouds, PowerDeps, HealthDeps {
  hetzner: Clouds['hetzner'];
  executor: StackEngine;
  vault: Vault;
  settings: ProvisionSettings;
  recordInputs: RecordInputs;
}

/**
 * The playbook is run again on the server that is there, in the version of this installation. What asks for that is the operation's id among
 * the stack's inputs: an attempt that follows a kill finds the playbook begun (its resource is not in the state, and it is run from the
 * start) or finished (the resource is there, and nothing is done), never forgotten.
 */
export function createReconfigure(deps: ReconfigureDeps): Runbook {
  return async (run) => {
    run.step('preparing');
    await findServer(deps, run);
    const device = await presentDevice(deps.tailscale, run);
    const { inputs, keys } = await prepare(deps, run);
    const found = await findResources(deps.hetzner, run.agent);
    const program = { ...programOf(inputs, keys, found), device };
    if (run.operation.attempt > 1) await clearPending(deps.executor, run);
    run.step('configuring');
    const result = await withLockRecovery(deps.executor, run, run.agent.stack_name, () =>
      deps.executor.up(run, program, {
        mayBeNew: false,
        keys,
        onProgress: (progress) => followSteps(run, progress),
      }),
    );
    const outputs = { ...agentOutputs(result.outputs), tailnetNodeId: device.nodeId };
    run.step('verifying');
    await untilHealthy(deps, run, outputs);
    return { kind: 'reconfigured', outputs };
  };
}

/** Writes down what is about to be applied; the same at every repetition. What the server consists of stays as it was bought. */
async function prepare(deps: ReconfigureDeps, run: Run): Promise<{ inputs: AgentInputs; keys: AgentKeys }> {
  const { known, keys } = recorded(deps.vault, run);
  const inputs: AgentInputs = {
    ...known,
    healthPort: deps.settings.healthPort,
    configurationVersion: deps.settings.configurationVersion,
    configuredBy: run.operation.operation_id,
  };
  await deps.recordInputs(run, { inputs, secrets: deps.vault.seal(inputs.agentId, keys) });
  return { inputs, keys };
}

/** What was written down of an agent before its server was made. */
export function recorded(vault: Vault, { agent }: Run): { known: AgentInputs; keys: AgentKeys } {
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
