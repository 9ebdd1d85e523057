import { z } from 'zod';
import type { AgentInputs, FoundResources } from '../../stacks/inputs.ts';
import { type AgentOutputs, agentOutputsSchema } from '../agents/outputs.ts';
import { serverFor } from '../agents/plans.ts';
import { generateAgentKeys, type Vault } from '../agents/secrets.ts';
import { newServerName } from '../agents/server-names.ts';
import { beginProvisions, getAgent, markFailed, markRunning } from '../agents/store.ts';
import type { Attempt } from '../operations/attempt.ts';
import { queueByService } from '../operations/consequences.ts';
import type { Ending, FollowUp } from '../operations/definition.ts';
import { reportedOutputs } from '../operations/effects.ts';
import { cancelWaiting } from '../operations/endings.ts';
import { defineOperation } from '../operations/registry.ts';
import type { RunbookParts } from '../operations/runbook-parts.ts';
import type { StackResult } from '../pulumi/engine/messages.ts';
import { NOT_JOINED } from '../pulumi/errors.ts';
import { giveSlotUp, markServed } from '../slots/claimed.ts';
import { type Creation, createServer } from './steps/create-server.ts';
import { identify } from './steps/device.ts';
import { tryHandOver } from './steps/hand-over.ts';
import { untilHealthy } from './steps/healthy.ts';
import { recordWithImage, withoutImage } from './steps/image-choice.ts';
import { seedOfKey } from './steps/import-stack.ts';
import { moveIfFull } from './steps/move-project.ts';
import { agentOutputs } from './steps/outputs.ts';
import { findResources } from './steps/own-server.ts';
import { type Prepared, record } from './steps/prepared.ts';
import { clearPending, removeFromHetzner, removeFromTailnet } from './steps/recovery.ts';
import { queueAdoptions } from './steps/served.ts';
import { withRoom } from './steps/with-room.ts';

export { followSteps } from './steps/create-server.ts';

const effect = z.object({ kind: z.literal('running'), outputs: agentOutputsSchema });

/** Creates an agent: its keys, its stack and a first healthy answer. */
export const provision = defineOperation<z.infer<typeof effect>>({
  kind: 'provision',
  rank: 0,
  retryFrom: ['failed'],
  createsAgent: true,
  runsAgent: true,
  limitSeconds: 30 * 60,
  // The retry reuses what a rollback would delete. A rollback after it would delete a running agent.
  beforeRetry: (trx, agentId) => cancelWaiting(trx, agentId, 'rollback'),
  begin: (trx, agentId) => beginProvisions(trx, [agentId]),
  effect,
  succeed: (trx, agentId, { outputs }) => markRunning(trx, [{ agentId, outputs }]),
  reported: (agentId, report) => ({ kind: 'running', outputs: reportedOutputs(agentId, report) }),
  lastFailure: rollBack,
  cancel: rollBack,
  followUp: adoptLater,
  run: (parts) => async (attempt) => {
    const warm = await tryHandOver(parts, attempt);
    if ('outputs' in warm) return { kind: 'running', outputs: warm.outputs };
    const placed = await moveIfFull(parts, { ...attempt, agent: warm.agent });
    const outputs = await withRoom(parts, placed.attempt, () => makeServer(placed.parts, placed.attempt));
    attempt.step('running');
    return { kind: 'running', outputs };
  },
});

/**
 * Makes a server, which joins the tailnet and is configured, and waits for its first healthy answer. For an
 * agent, and for a slot, whose row takes the place of the agent's.
 */
export async function makeServer(parts: RunbookParts, attempt: Attempt): Promise<AgentOutputs> {
  const result = await bringServerUp(parts, attempt);
  attempt.step('verifying');
  const outputs = await identify(parts.tailscale, attempt, agentOutputs(result.outputs));
  await untilHealthy(parts, attempt, outputs);
  return outputs;
}

/** Makes a server, which joins the tailnet and is configured. Leaves its agent's health to the caller. */
export async function bringServerUp(parts: RunbookParts, attempt: Attempt): Promise<StackResult> {
  attempt.step('creating_server');
  const prepared = await prepare(parts, attempt);
  const recovered = await recover(parts, attempt, prepared);
  return createServer(parts, attempt, { ...recovered, keys: prepared.keys });
}

/** After a hand-over the stack, the labels and the names follow. */
async function adoptLater({ trx, agentId, operationId }: FollowUp): Promise<void> {
  const served = await markServed(trx, [{ agentId, operationId }]);
  if (served.length > 0) await queueAdoptions(trx, served);
  else await giveSlotUp(trx, agentId, 'the agent that had claimed it got a server of its own');
}

async function rollBack(ending: Ending): Promise<void> {
  const { trx, agentId, error } = ending;
  await giveSlotUp(trx, agentId, 'the provision of the agent that had claimed it ended');
  // A destroy was requested meanwhile, which deletes everything itself.
  if ((await getAgent(trx, agentId)).status === 'destroying') return;
  await markFailed(trx, agentId, error);
  await queueByService(ending, 'rollback', { cause: 'the provision failed' });
}

/** Records names, keys and inputs before anything is created, so that each attempt uses the same ones. */
async function prepare(parts: RunbookParts, attempt: Attempt): Promise<Prepared> {
  const { agent, operation } = attempt;
  const firewallId = await parts.ensureFoundation(attempt, agent.project);
  const keyGeneration = agent.inputs?.keyGeneration ?? 1;
  const keys =
    agent.secrets === null
      ? generateAgentKeys(agent.agent_id)
      : parts.vault.open(agent.agent_id, agent.secrets);
  const inputs: AgentInputs = {
    agentId: agent.agent_id,
    ...nameFor(parts, agent),
    operationId: operation.operation_id,
    project: agent.project,
    location: agent.location,
    ...serverFor(agent.plan, agent.location),
    // A server that an earlier attempt created keeps its type.
    ...(agent.inputs && { serverType: agent.inputs.serverType, image: agent.inputs.image }),
    firewallId,
    sshPublicKey: keys.sshPublicKey,
    hostPublicKey: keys.hostPublicKey,
    keyGeneration,
    // A server of an earlier attempt may join under it, whatever the passphrase is now.
    joinName: agent.inputs?.joinName ?? parts.vault.joinName(agent.agent_id, keyGeneration),
    healthPort: parts.settings.healthPort,
    configurationVersion: parts.settings.configurationVersion,
    joinTimeoutSeconds: parts.settings.joinTimeoutSeconds,
    ...(parts.settings.pollInterval === undefined ? {} : { pollInterval: parts.settings.pollInterval }),
    ...(parts.settings.loginServer === undefined ? {} : { loginServer: parts.settings.loginServer }),
  };
  return recordWithImage(parts, attempt, { inputs, keys });
}

/** A server keeps the name under which an earlier attempt may have created it. */
function nameFor(
  { newServerName: newName = newServerName }: RunbookParts,
  { agent_id: agentId, inputs }: Attempt['agent'],
): Pick<AgentInputs, 'serverName'> {
  if (inputs === null) return { serverName: newName(agentId) };
  return inputs.serverName === undefined ? {} : { serverName: inputs.serverName };
}

/**
 * After the first attempt: clears or reuses what a killed or failed attempt left, so that nothing is created
 * twice. A server that did not join the tailnet is replaced, because it has no data yet.
 */
async function recover(
  parts: RunbookParts,
  attempt: Attempt,
  { inputs, keys }: Prepared,
): Promise<Omit<Creation, 'keys'>> {
  if (attempt.operation.attempt === 1) return { program: toProgram(inputs, keys), mayBeNew: true };
  let exists = await clearPending(parts.executor, attempt);
  let found = await findResources(parts.hetzner, attempt.agent);
  const flaw = await findFlaw(parts, attempt, found);
  let usable = inputs;
  if (flaw !== undefined) {
    attempt.log(`${flaw}: replacing it`);
    usable = await withoutImage(parts, attempt, { inputs, why: flaw });
    if (exists) await parts.executor.destroy(attempt, attempt.agent.stack_name);
    // A server that never got into the state belongs to no stack.
    await removeFromHetzner(parts.hetzner, attempt);
    exists = false;
    found = {};
  }
  if (found.serverId !== undefined) {
    attempt.step('joining_network');
    const program = { ...toProgram(usable, keys), found };
    return { program, mayBeNew: !exists, ...(!exists && { seed: await seedOfKey(parts, program) }) };
  }
  // Without a server, an existing tailnet key is useless, because its secret may be lost. Use the next
  // generation.
  await removeFromTailnet(parts, attempt);
  const renewed = renewedKey(parts.vault, usable);
  await record(parts, attempt, { inputs: renewed, keys });
  return { program: { ...toProgram(renewed, keys), found }, mayBeNew: !exists };
}

/** Why an earlier attempt's server must be replaced; undefined if there is none or it may still join. */
async function findFlaw(
  parts: RunbookParts,
  attempt: Attempt,
  found: FoundResources,
): Promise<string | undefined> {
  if (found.serverId === undefined) return undefined;
  // Check the failure code, not the step: an attempt that was lost while it waited is no evidence against the
  // server.
  if (attempt.operation.failure_code === NOT_JOINED) return 'The server did not join the tailnet in time';
  const { inputs } = attempt.agent;
  if (inputs !== null && inputs.joinName === undefined)
    return 'The server would join under a hostname that any machine can claim';
  if (await parts.hetzner.failedToStart(found.serverId)) return 'Hetzner could not start the server';
  return undefined;
}

/** Inputs with the next generation of the tailnet key, and the hostname that belongs to it. */
export function renewedKey(vault: Vault, inputs: AgentInputs): AgentInputs {
  const keyGeneration = inputs.keyGeneration + 1;
  return { ...inputs, keyGeneration, joinName: vault.joinName(inputs.agentId, keyGeneration) };
}

function toProgram(inputs: AgentInputs, keys: Prepared['keys']) {
  return { stack: 'agent' as const, inputs, secrets: { hostPrivateKey: keys.hostPrivateKey } };
}
