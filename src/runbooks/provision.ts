import type { AgentInputs, FoundResources } from '../../stacks/inputs.ts';
import type { StackProgram } from '../../stacks/program.ts';
import { serverFor } from '../agents/plans.ts';
import { type AgentKeys, generateAgentKeys, type Vault } from '../agents/secrets.ts';
import type { Run, Runbook } from '../operations/attempt.ts';
import type { Progress } from '../pulumi/engine/messages.ts';
import type { StackEngine } from '../pulumi/engine/stack-engine.ts';
import { NOT_JOINED } from '../pulumi/errors.ts';
import type { HealthCheck } from '../tailnet/agent-health.ts';
import { identify } from './steps/device.ts';
import { untilHealthy } from './steps/healthy.ts';
import { agentOutputs } from './steps/outputs.ts';
import { findResources } from './steps/own-server.ts';
import {
  type Clouds,
  clearPending,
  removeFromHetzner,
  removeFromTailnet,
  withLockRecovery,
} from './steps/recovery.ts';

export interface ProvisionDeps extends Clouds {
  executor: StackEngine;
  health: HealthCheck;
  vault: Vault;
  settings: ProvisionSettings;
  /** Makes what the project's agents share, where it is not there. @returns the firewall's id */
  ensureFoundation(run: Run, project: string): Promise<number>;
  recordInputs: RecordInputs;
}

/** Writes down what is about to be made, on the agent's row, wherever the runbook runs. `secrets` are sealed by the vault. */
export type RecordInputs = (run: Run, prepared: { inputs: AgentInputs; secrets: Buffer }) => Promise<void>;

/** What every agent of this installation is given. */
export interface ProvisionSettings {
  healthPort: number;
  configurationVersion: string;
  joinTimeoutSeconds: number;
  healthTimeoutSeconds: number;
  loginServer: string | undefined;
  /** How often Hetzner is asked for an action's progress, as a Go duration; undefined: the provider's own interval. */
  pollInterval: string | undefined;
}

/** From nothing to a running agent: its keys, its stack, its first healthy answer. */
export function createProvision(deps: ProvisionDeps): Runbook {
  return async (run) => {
    run.step('creating_server');
    const prepared = await prepare(deps, run);
    const { program, mayBeNew } = await recover(deps, run, prepared);
    const result = await withLockRecovery(deps.executor, run, run.agent.stack_name, () =>
      deps.executor.up(run, program, {
        mayBeNew,
        keys: prepared.keys,
        onProgress: (progress) => followSteps(run, progress),
      }),
    );
    run.step('verifying');
    const outputs = await identify(deps.tailscale, run, agentOutputs(result.outputs));
    await untilHealthy(deps, run, outputs);
    run.step('running');
    return { kind: 'running', outputs };
  };
}

interface Prepared {
  inputs: AgentInputs;
  keys: AgentKeys;
}

/** Writes down what is about to be created, before it is: names, keys and inputs are the same at every repetition. */
async function prepare(deps: ProvisionDeps, run: Run): Promise<Prepared> {
  const { agent, operation } = run;
  const firewallId = await deps.ensureFoundation(run, agent.project);
  const keyGeneration = agent.inputs?.keyGeneration ?? 1;
  const keys =
    agent.secrets === null
      ? generateAgentKeys(agent.agent_id)
      : deps.vault.open(agent.agent_id, agent.secrets);
  const inputs: AgentInputs = {
    agentId: agent.agent_id,
    operationId: operation.operation_id,
    project: agent.project,
    location: agent.location,
    ...serverFor(agent.plan, agent.location),
    firewallId,
    sshPublicKey: keys.sshPublicKey,
    hostPublicKey: keys.hostPublicKey,
    keyGeneration,
    joinName: deps.vault.joinName(agent.agent_id, keyGeneration),
    healthPort: deps.settings.healthPort,
    configurationVersion: deps.settings.configurationVersion,
    joinTimeoutSeconds: deps.settings.joinTimeoutSeconds,
    ...(deps.settings.pollInterval === undefined ? {} : { pollInterval: deps.settings.pollInterval }),
    ...(deps.settings.loginServer === undefined ? {} : { loginServer: deps.settings.loginServer }),
  };
  await record(deps, run, { inputs, keys });
  return { inputs, keys };
}

function record(deps: ProvisionDeps, run: Run, { inputs, keys }: Prepared): Promise<void> {
  return deps.recordInputs(run, { inputs, secrets: deps.vault.seal(inputs.agentId, keys) });
}

/**
 * Before every attempt but the first: what a killed or failed one has left is cleared or taken over, never made twice.
 * A server that did not join the tailnet is replaced, not repaired; it has nothing to lose yet.
 */
async function recover(
  deps: ProvisionDeps,
  run: Run,
  { inputs, keys }: Prepared,
): Promise<{ program: StackProgram; mayBeNew: boolean }> {
  const program = programOf(inputs, keys);
  if (run.operation.attempt === 1) return { program, mayBeNew: true };
  let exists = await clearPending(deps.executor, run);
  let found = await findResources(deps.hetzner, run.agent);
  const flaw = await flawOf(deps, run, found);
  if (flaw !== undefined) {
    run.log(`${flaw}: replacing it`);
    if (exists) await deps.executor.destroy(run, run.agent.stack_name);
    // One that was made and never got into the state is in no stack.
    await removeFromHetzner(deps.hetzner, run);
    exists = false;
    found = {};
  }
  if (found.serverId !== undefined) {
    run.step('joining_network');
    return { program: { ...program, found }, mayBeNew: !exists };
  }
  // Without a server, whatever key was made is of no use: its secret may be lost. The next one has another generation.
  await removeFromTailnet(deps, run);
  const renewed = renewedKey(deps.vault, inputs);
  await record(deps, run, { inputs: renewed, keys });
  return { program: { ...programOf(renewed, keys), found }, mayBeNew: !exists };
}

/** Why the server of an earlier attempt is not worth waiting for; undefined where there is none, or it may yet become an agent. */
async function flawOf(deps: ProvisionDeps, run: Run, found: FoundResources): Promise<string | undefined> {
  if (found.serverId === undefined) return undefined;
  // By what was said, not by the step alone: an attempt that was lost while it waited says nothing against the server.
  if (run.operation.error?.startsWith(NOT_JOINED)) return 'The server had not joined the tailnet in time';
  const { inputs } = run.agent;
  if (inputs !== null && inputs.joinName === undefined)
    return 'The server is to join under a name that any machine can take';
  if (await deps.hetzner.failedToStart(found.serverId)) return 'Hetzner could not start the server';
  return undefined;
}

/** The next tailnet key, and the name under which a server joins with it. */
export function renewedKey(vault: Vault, inputs: AgentInputs): AgentInputs {
  const keyGeneration = inputs.keyGeneration + 1;
  return { ...inputs, keyGeneration, joinName: vault.joinName(inputs.agentId, keyGeneration) };
}

function programOf(inputs: AgentInputs, keys: AgentKeys) {
  return { stack: 'agent' as const, inputs, secrets: { hostPrivateKey: keys.hostPrivateKey } };
}

/** The engine's progress as the steps that a person knows. */
export function followSteps(run: Run, progress: Progress): void {
  if (progress.kind !== 'resource') return;
  if (progress.part === 'server' && progress.phase === 'done') run.step('joining_network');
  if (progress.part === 'configuration' && progress.phase === 'begins') run.step('configuring');
}
