import { z } from 'zod';
import { type AgentInputs, isOwnImage } from '../../stacks/inputs.ts';
import { forgetHealth, markRebuilt } from '../agents/lifecycle.ts';
import { agentOutputsSchema } from '../agents/outputs.ts';
import { serverFor } from '../agents/plans.ts';
import { type AgentKeys, generateAgentKeys } from '../agents/secrets.ts';
import type { Server } from '../hetzner/hetzner.ts';
import { wasRefused } from '../hetzner/refusals.ts';
import type { Attempt } from '../operations/attempt.ts';
import { reportedOutputs } from '../operations/effects.ts';
import { defineOperation } from '../operations/registry.ts';
import type { RunbookParts } from '../operations/runbook-parts.ts';
import { followSteps, renewedKey } from './provision.ts';
import { recorded, toProgram } from './steps/agent-program.ts';
import { identify } from './steps/device.ts';
import { untilHealthy } from './steps/healthy.ts';
import { agentOutputs } from './steps/outputs.ts';
import { findResources, lookUpServer } from './steps/own-server.ts';
import { switchOn } from './steps/power.ts';
import { untilRebuildable } from './steps/rebuildable.ts';
import { assertHeld, clearPending, removeDevices, removeKeys, withLockRecovery } from './steps/recovery.ts';
import { restoreAttributes } from './steps/server-attributes.ts';

interface Prepared {
  inputs: AgentInputs;
  keys: AgentKeys;
  /** The inputs and keys that are valid until the disk is reinstalled. */
  before: { inputs: AgentInputs; keys: AgentKeys };
}

const effect = z.object({ kind: z.literal('rebuilt'), outputs: agentOutputsSchema });

/**
 * Reinstalls the server's disk at Hetzner. The server, its name and its public addresses stay; all data on
 * the disk is lost. The agent joins the tailnet as a new device, with a new key and new host keys. A missing
 * server is replaced. If Hetzner refuses the rebuild, the agent keeps running as before. Each attempt uses a
 * new generation and reinstalls again: a freshly installed disk has no data, so it does not matter how far an
 * earlier attempt came.
 */
export const rebuild = defineOperation<z.infer<typeof effect>>({
  kind: 'rebuild',
  rank: 70,
  from: ['running', 'stopped', 'suspended'],
  exclusive: true,
  runsAgent: true,
  takesFromCustomer: true,
  limitSeconds: 30 * 60,
  begin: forgetHealth,
  effect,
  succeed: (trx, agentId, { outputs }) => markRebuilt(trx, agentId, outputs),
  reported: (agentId, report) => ({ kind: 'rebuilt', outputs: reportedOutputs(agentId, report) }),
  cli: 'reinstall its server; everything on its disk is lost',
  confirm: {
    loses: 'and lose everything on its disk',
    explain: () =>
      'This reinstalls its disk; everything on it is lost. The server and its public addresses stay, but its tailnet ' +
      'address may change.',
  },
  run: (parts) => async (attempt) => {
    attempt.step('preparing');
    const server = await lookUpServer(parts.hetzner, attempt.agent);
    if (server !== undefined) {
      await untilRebuildable(parts, attempt, server);
      await restoreAttributes(parts, attempt, server);
    }
    const prepared = await prepare(parts, attempt);
    const exists = await recover(parts, attempt, server);
    if (server === undefined) {
      attempt.log('The server is no longer at Hetzner: creating a new one');
      await record(parts, attempt, prepared);
    } else await reinstall(parts, attempt, { ...prepared, server });
    attempt.step('joining_network');
    const found = await findResources(parts.hetzner, attempt.agent);
    const program = toProgram(prepared.inputs, prepared.keys, found);
    const result = await withLockRecovery(parts.executor, attempt, attempt.agent.stack_name, () =>
      parts.executor.up(attempt, program, {
        mayBeNew: !exists,
        keys: prepared.keys,
        onProgress: (progress) => followSteps(attempt, progress),
      }),
    );
    attempt.step('verifying');
    const outputs = await identify(parts.tailscale, attempt, agentOutputs(result.outputs));
    await untilHealthy(parts, attempt, outputs);
    return { kind: 'rebuilt', outputs };
  },
});

/**
 * Prepares the next generation: a new tailnet key, new host keys and a full configuration. Its number is
 * recorded before anything is created. The host keys are recorded just before the disk is reinstalled,
 * because a rebuild that fails earlier leaves a server with the old ones.
 */
async function prepare(parts: RunbookParts, attempt: Attempt): Promise<Prepared> {
  const { operation_id: operationId, attempt: number } = attempt.operation;
  const { known, keys: old } = recorded(parts.vault, attempt);
  const numbered = renewedKey(parts.vault, known);
  await record(parts, attempt, { inputs: numbered, keys: old });
  const { sshPublicKey, sshPrivateKey } = old;
  const keys = { ...generateAgentKeys(known.agentId), sshPublicKey, sshPrivateKey };
  const inputs: AgentInputs = {
    ...numbered,
    // An image of ours may be gone by now.
    ...(isOwnImage(numbered.image) && { image: serverFor(attempt.agent.plan, known.location).image }),
    hostPublicKey: keys.hostPublicKey,
    healthPort: parts.settings.healthPort,
    configurationVersion: parts.settings.configurationVersion,
    configuredBy: `${operationId} ${number}`,
  };
  return { inputs, keys, before: { inputs: numbered, keys: old } };
}

function record(parts: RunbookParts, attempt: Attempt, { inputs, keys }: Prepared['before']): Promise<void> {
  return parts.recordInputs(attempt, { inputs, secrets: parts.vault.seal(inputs.agentId, keys) });
}

/**
 * Removes from the state what a killed attempt had begun to create, and a server that no longer exists.
 * @returns whether the stack exists
 */
async function recover(parts: RunbookParts, attempt: Attempt, server: Server | undefined): Promise<boolean> {
  if (server !== undefined && attempt.operation.attempt === 1) return true;
  const exists = await clearPending(parts.executor, attempt);
  if (server === undefined) await removeDevices(parts, attempt);
  return exists;
}

/**
 * Reinstalls the disk; Hetzner cuts the power itself. The old device and keys are removed only afterwards, so
 * that a refused rebuild leaves the agent working. The new device may have joined by then and is kept.
 */
async function reinstall(parts: RunbookParts, attempt: Attempt, prepared: Reinstalled): Promise<void> {
  const { inputs, keys, server } = prepared;
  attempt.step('renewing_key');
  const { tailnet_ip: tailnetIp, tailnet_name: tailnetName } = attempt.agent;
  const device = { tailnetIp: tailnetIp ?? '', tailnetName: tailnetName ?? '' };
  const program = { ...toProgram(inputs, keys, {}), device };
  const userData = await withLockRecovery(parts.executor, attempt, attempt.agent.stack_name, () =>
    parts.executor.renewKey(attempt, program),
  );
  attempt.step('reinstalling_server');
  await install(parts, attempt, { ...prepared, userData: userData.reveal() });
  attempt.log(`${server.name} was reinstalled`);
  await removeDevices(parts, attempt);
  await removeKeys(parts.tailscale, attempt, { keep: inputs.keyGeneration });
  await switchOn(parts, attempt, server);
}

type Reinstalled = Prepared & { server: Server };

/** Records the new keys before the disk has them. If Hetzner refuses the rebuild, restores the old record. */
async function install(
  parts: RunbookParts,
  attempt: Attempt,
  { inputs, keys, before, server, userData }: Reinstalled & { userData: string },
): Promise<void> {
  await record(parts, attempt, { inputs, keys });
  assertHeld(attempt);
  try {
    await parts.hetzner.rebuild(server.id, { image: inputs.image, userData }, attempt.signal);
  } catch (error) {
    if (wasRefused(error)) await keepOldDisk(parts, attempt, { before, server });
    throw error;
  }
}

/** Undoes the preparations as far as possible. Ignores errors, so that people see Hetzner's refusal. */
async function keepOldDisk(
  parts: RunbookParts,
  attempt: Attempt,
  { before, server }: Pick<Reinstalled, 'before' | 'server'>,
): Promise<void> {
  attempt.log(`Hetzner refused to rebuild ${server.name}: it keeps its old disk`);
  await record(parts, attempt, before).catch(() => {});
  await removeKeys(parts.tailscale, attempt).catch(() => {});
  if (server.status !== 'off') await switchOn(parts, attempt, server).catch(() => {});
}
