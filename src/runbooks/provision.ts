import { z } from 'zod';
import type { AgentInputs, FoundResources } from '../../stacks/inputs.ts';
import type { StackProgram } from '../../stacks/program.ts';
import { agentOutputsSchema } from '../agents/outputs.ts';
import { serverFor } from '../agents/plans.ts';
import { type AgentKeys, generateAgentKeys, type Vault } from '../agents/secrets.ts';
import { beginProvision, getAgent, markFailed, markRunning } from '../agents/store.ts';
import type { Run } from '../operations/attempt.ts';
import type { Ending } from '../operations/definition.ts';
import { reportedOutputs } from '../operations/effects.ts';
import { cancelWaiting } from '../operations/endings.ts';
import { defineOperation } from '../operations/registry.ts';
import { insertOperation } from '../operations/requests.ts';
import type { RunbookParts } from '../operations/runbook-parts.ts';
import type { Progress } from '../pulumi/engine/messages.ts';
import { NOT_JOINED } from '../pulumi/errors.ts';
import { identify } from './steps/device.ts';
import { untilHealthy } from './steps/healthy.ts';
import { agentOutputs } from './steps/outputs.ts';
import { findResources } from './steps/own-server.ts';
import { clearPending, removeFromHetzner, removeFromTailnet, withLockRecovery } from './steps/recovery.ts';

const effect = z.object({ kind: z.literal('running'), outputs: agentOutputsSchema });

/** From nothing to a running agent: its keys, its stack, its first healthy answer. */
export const provision = defineOperation<z.infer<typeof effect>>({
  kind: 'provision',
  rank: 0,
  retryFrom: ['failed'],
  createsAgent: true,
  limitSeconds: 30 * 60,
  // It takes over what a rollback would free; run after it, the rollback would free a running agent.
  beforeRetry: (trx, agentId) => cancelWaiting(trx, agentId, 'rollback'),
  begin: beginProvision,
  effect,
  succeed: (trx, agentId, { outputs }) => markRunning(trx, agentId, outputs),
  reported: (agentId, report) => ({ kind: 'running', outputs: reportedOutputs(agentId, report) }),
  lastFailure: rollBack,
  cancel: rollBack,
  run: (deps) => async (run) => {
    run.step('creating_server');
    const prepared = await prepare(deps, run);
    const { program, mayBeNew } = await recover(deps, run, prepared);
    const result = await withLockRecovery(deps.executor, run, program, () =>
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
  },
});

async function rollBack({ trx, queue, agentId, error }: Ending): Promise<void> {
  // A destroy that was asked for meanwhile frees everything itself.
  if ((await getAgent(trx, agentId)).status === 'destroying') return;
  await markFailed(trx, agentId, error);
  await insertOperation(trx, queue, { agentId, kind: 'rollback' });
}

interface Prepared {
  inputs: AgentInputs;
  keys: AgentKeys;
}

/** Writes down what is about to be created, before it is: names, keys and inputs are the same at every repetition. */
async function prepare(deps: RunbookParts, run: Run): Promise<Prepared> {
  const { agent, operation } = run;
  const firewallId = await deps.ensureFoundation(run, agent.project);
  const known = agent.inputs as unknown as AgentInputs | null;
  const keyGeneration = known?.keyGeneration ?? 1;
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

function record(deps: RunbookParts, run: Run, { inputs, keys }: Prepared): Promise<void> {
  return deps.recordInputs(run, { inputs, secrets: deps.vault.seal(inputs.agentId, keys) });
}

/**
 * Before every attempt but the first: what a killed or failed one has left is cleared or taken over, never made twice.
 * A server that did not join the tailnet is replaced, not repaired; it has nothing to lose yet.
 */
async function recover(
  deps: RunbookParts,
  run: Run,
  { inputs, keys }: Prepared,
): Promise<{ program: StackProgram; mayBeNew: boolean }> {
  const program = programOf(inputs, keys);
  if (run.operation.attempt === 1) return { program, mayBeNew: true };
  let exists = await clearPending(deps.executor, run, program);
  let found = await findResources(deps.hetzner, run.agent);
  const flaw = await flawOf(deps, run, found);
  if (flaw !== undefined) {
    run.log(`${flaw}: replacing it`);
    if (exists) await deps.executor.destroy(run, program);
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
async function flawOf(deps: RunbookParts, run: Run, found: FoundResources): Promise<string | undefined> {
  if (found.serverId === undefined) return undefined;
  // By the failure, not by the step alone: an attempt that was lost while it waited says nothing against the server.
  if (run.operation.failure_code === NOT_JOINED) return 'The server had not joined the tailnet in time';
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
  if (progress.type === 'hcloud:index/server:Server' && progress.phase === 'done')
    run.step('joining_network');
  if (progress.type === 'command:local:Command' && progress.phase === 'begins') run.step('configuring');
}
