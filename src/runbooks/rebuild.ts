import { z } from 'zod';
import type { AgentInputs } from '../../stacks/inputs.ts';
import { forgetHealth, markRebuilt } from '../agents/lifecycle.ts';
import { agentOutputsSchema } from '../agents/outputs.ts';
import { type AgentKeys, generateAgentKeys } from '../agents/secrets.ts';
import type { Server } from '../hetzner/hetzner.ts';
import { wasRefused } from '../hetzner/refusals.ts';
import type { Attempt } from '../operations/attempt.ts';
import { reportedOutputs } from '../operations/effects.ts';
import { defineOperation } from '../operations/registry.ts';
import type { RunbookParts } from '../operations/runbook-parts.ts';
import { followSteps, renewedKey } from './provision.ts';
import { programOf, recorded } from './reconfigure.ts';
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
  /** What the server shows as long as it has not been installed anew. */
  before: { inputs: AgentInputs; keys: AgentKeys };
}

const effect = z.object({ kind: z.literal('rebuilt'), outputs: agentOutputsSchema });

/**
 * The server's disk is installed anew, by Hetzner: server, name and public addresses stay, everything on the
 * disk is lost, and the agent joins the tailnet as a new device with a new key and new host keys. Where there
 * is no server any more, one is made. An agent that Hetzner refuses to install anew goes on as it was. Every
 * attempt begins with a generation of its own and installs once more: a disk that an earlier attempt may have
 * installed has nothing to lose, so nobody has to find out how far that attempt came.
 */
export const rebuild = defineOperation<z.infer<typeof effect>>({
  kind: 'rebuild',
  rank: 70,
  from: ['running', 'stopped'],
  exclusive: true,
  limitSeconds: 30 * 60,
  begin: forgetHealth,
  effect,
  succeed: (trx, agentId, { outputs }) => markRebuilt(trx, agentId, outputs),
  reported: (agentId, report) => ({ kind: 'rebuilt', outputs: reportedOutputs(agentId, report) }),
  cli: 'reinstall its server; everything on its disk is lost',
  confirm: {
    loses: 'and lose everything on its disk',
    explain: () =>
      'Its disk is installed anew, and everything on it is lost. The server and its public addresses stay; its tailnet ' +
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
      attempt.log('The server is no longer at Hetzner: making another');
      await record(parts, attempt, prepared);
    } else await reinstall(parts, attempt, { ...prepared, server });
    attempt.step('joining_network');
    const found = await findResources(parts.hetzner, attempt.agent);
    const program = programOf(prepared.inputs, prepared.keys, found);
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
 * The next generation: another tailnet key, other host keys, a configuration from the start. Its number is
 * written down before anything of it is made; the host keys only when the disk is about to go, since a
 * rebuild that fails before leaves a server that shows the old ones.
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
 * The state forgets what a killed attempt had begun to create, and a server that is gone.
 * @returns whether there is a stack.
 */
async function recover(parts: RunbookParts, attempt: Attempt, server: Server | undefined): Promise<boolean> {
  if (server !== undefined && attempt.operation.attempt === 1) return true;
  const exists = await clearPending(parts.executor, attempt);
  if (server === undefined) await removeDevices(parts, attempt);
  return exists;
}

/**
 * Hetzner itself cuts the power of what it installs anew. Nothing that the agent lives by is taken from it
 * before the new disk is there: its device goes as the one of before, so that the new one, which may have
 * joined by then, stays.
 */
async function reinstall(parts: RunbookParts, attempt: Attempt, prepared: Reinstalled): Promise<void> {
  const { inputs, keys, server } = prepared;
  attempt.step('renewing_key');
  const { tailnet_ip: tailnetIp, tailnet_name: tailnetName } = attempt.agent;
  const device = { tailnetIp: tailnetIp ?? '', tailnetName: tailnetName ?? '' };
  const program = { ...programOf(inputs, keys, {}), device };
  const userData = await withLockRecovery(parts.executor, attempt, attempt.agent.stack_name, () =>
    parts.executor.renewKey(attempt, program),
  );
  attempt.step('reinstalling_server');
  await install(parts, attempt, { ...prepared, userData: userData.reveal() });
  attempt.log(`${server.name} is installed anew`);
  await removeDevices(parts, attempt);
  await removeKeys(parts.tailscale, attempt, { keep: inputs.keyGeneration });
  await switchOn(parts, attempt, server);
}

type Reinstalled = Prepared & { server: Server };

/**
 * The keys are written down before the disk shows them, and what was written before is put back where Hetzner
 * says that it did nothing.
 */
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
    if (wasRefused(error)) await goOnAsBefore(parts, attempt, { before, server });
    throw error;
  }
}

/** What cannot be undone now is left to the next attempt: the refusal is what a person has to read. */
async function goOnAsBefore(
  parts: RunbookParts,
  attempt: Attempt,
  { before, server }: Pick<Reinstalled, 'before' | 'server'>,
): Promise<void> {
  attempt.log(`Hetzner has not installed ${server.name} anew: it goes on as it was`);
  await record(parts, attempt, before).catch(() => {});
  await removeKeys(parts.tailscale, attempt).catch(() => {});
  if (server.status !== 'off') await switchOn(parts, attempt, server).catch(() => {});
}
