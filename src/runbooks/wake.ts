import { z } from 'zod';
import type { AgentInputs, FoundResources } from '../../stacks/inputs.ts';
import { markWoken } from '../agents/hibernation.ts';
import { agentOutputsSchema } from '../agents/outputs.ts';
import type { AgentKeys } from '../agents/secrets.ts';
import { errorMessage, LostError, PermanentError, RetryableError } from '../errors.ts';
import type { Server, Snapshot } from '../hetzner/hetzner.ts';
import type { Attempt } from '../operations/attempt.ts';
import { reportedOutputs } from '../operations/effects.ts';
import { defineOperation } from '../operations/registry.ts';
import type { RunbookParts } from '../operations/runbook-parts.ts';
import { followSteps } from './provision.ts';
import { recorded, toProgram } from './steps/agent-program.ts';
import { DeviceMissingError, findDevice, type PresentDevice, presentDevice } from './steps/device.ts';
import { untilHealthy } from './steps/healthy.ts';
import { agentOutputs } from './steps/outputs.ts';
import { findResources, hasOwnLabels, lookUpServer } from './steps/own-server.ts';
import { recordedSnapshot } from './steps/own-snapshots.ts';
import { switchOn } from './steps/power.ts';
import { assertHeld, clearPending, withLockRecovery } from './steps/recovery.ts';
import { isComplete, removeSnapshots } from './steps/snapshots.ts';

const effect = z.object({ kind: z.literal('woken'), outputs: agentOutputsSchema });

/**
 * Makes a server from a hibernated agent's snapshot, configures it, waits until it answers as the same
 * tailnet device, and then deletes the snapshot. Each attempt takes over the server of the one before. The
 * server proves by its host key that its disk is the agent's: no other disk holds it.
 */
export const wake = defineOperation<z.infer<typeof effect>>({
  kind: 'wake',
  rank: 78,
  from: ['hibernated'],
  exclusive: true,
  runsAgent: true,
  followsHolds: true,
  limitSeconds: 45 * 60,
  effect,
  succeed: (trx, agentId, { outputs }) => markWoken(trx, agentId, outputs),
  reported: (agentId, report) => ({ kind: 'woken', outputs: reportedOutputs(agentId, report) }),
  cli: "make a hibernated agent's server again from its snapshot",
  isOnList: true,
  run: (parts) => async (attempt) => {
    attempt.step('preparing');
    const snapshotId = attempt.agent.snapshot_id;
    if (snapshotId === null) throw new PermanentError('The agent has no recorded snapshot');
    const device = await keptDevice(parts, attempt, snapshotId);
    // Also on a first attempt: it may follow an operation that failed half-way.
    const exists = await clearPending(parts.executor, attempt);
    const server = await findServerToWake(parts, attempt, snapshotId);
    if (server?.status === 'off') await switchOn(parts, attempt, server);
    const { inputs, keys } = await prepare(parts, attempt);
    attempt.step('creating_server');
    const { sshKeyId } = await findResources(parts.hetzner, attempt.agent);
    const found: FoundResources = {
      ...(sshKeyId === undefined ? {} : { sshKeyId }),
      ...(server === undefined ? {} : { serverId: server.id }),
    };
    const program = { ...toProgram(inputs, keys, found), device, restoredFrom: snapshotId };
    assertHeld(attempt);
    const result = await withLockRecovery(parts.executor, attempt, attempt.agent.stack_name, () =>
      parts.executor.up(attempt, program, {
        mayBeNew: !exists,
        keys,
        onProgress: (progress) => followSteps(attempt, progress),
      }),
    );
    const outputs = { ...agentOutputs(result.outputs), tailnetNodeId: device.nodeId };
    attempt.step('verifying');
    await untilHealthy(parts, attempt, outputs);
    attempt.step('removing_snapshot');
    await removeOutdated(parts, attempt);
    return { kind: 'woken', outputs };
  },
});

/**
 * Removes the snapshots, which are outdated from now on. A cloud's failure must not undo the wake: the sweep
 * removes what is left.
 */
async function removeOutdated(parts: RunbookParts, attempt: Attempt): Promise<void> {
  try {
    await removeSnapshots(parts, attempt);
  } catch (error) {
    attempt.signal.throwIfAborted();
    if (error instanceof LostError) throw error;
    attempt.log(`a snapshot stays until the next sweep: ${errorMessage(error)}`);
  }
}

/** The agent's device, which stays while it is hibernated. @throws PermanentError if it is gone */
async function keptDevice(
  { tailscale }: RunbookParts,
  attempt: Attempt,
  snapshotId: string,
): Promise<PresentDevice> {
  if ((await findDevice(tailscale, attempt.agent)) !== undefined) return presentDevice(tailscale, attempt);
  throw new DeviceMissingError(
    `Its tailnet device is no longer on the tailnet, and no other may take its place. Its data is in snapshot ${snapshotId}`,
  );
}

/**
 * Finds the server of an earlier attempt, or the one of which the snapshot was made, if a hibernate ended
 * before it was deleted.
 * @returns undefined if a server has to be made; then the snapshot is complete
 * @throws PermanentError if there is nothing to make it from, or a server that is not made from the snapshot
 */
async function findServerToWake(
  parts: RunbookParts,
  attempt: Attempt,
  snapshotId: string,
): Promise<Server | undefined> {
  const [server, snapshot] = await Promise.all([
    lookUpServer(parts.hetzner, attempt.agent),
    recordedSnapshot(parts.hetzner, attempt.agent),
  ]);
  const canMake = snapshot !== undefined && isComplete(snapshot);
  if (server === undefined) {
    if (canMake) return undefined;
    const state = snapshot === undefined ? 'no longer at Hetzner' : `${snapshot.status} at Hetzner`;
    throw new PermanentError(
      `Snapshot ${snapshotId} is ${state}: the agent's data cannot be restored, and no empty server is made instead`,
    );
  }
  if (server.status === 'deleting')
    throw new RetryableError(`${server.name} (${server.id}) is still being deleted at Hetzner`);
  if (!holdsItsDisk(server, attempt, snapshot))
    throw new PermanentError(
      `Server ${server.name} (${server.id}) was not made from the agent's snapshot ${snapshotId}: it is left alone. Rename it if it is not the agent's`,
    );
  // A copy can be made again; the original, or a server without its snapshot, is all there is.
  const isCopy = server.imageId === snapshotId && canMake;
  if (!isCopy || !(await parts.hetzner.failedToStart(server.id))) return server;
  attempt.log('Hetzner could not start the server: making another one');
  assertHeld(attempt);
  await parts.hetzner.deleteServer(server.id, { wait: true });
  return undefined;
}

/**
 * Whether the server's disk is the agent's. Only a wake that has seen the agent healthy removes the snapshot:
 * without it, the agent's server is the one that was woken.
 */
function holdsItsDisk(server: Server, { agent }: Attempt, snapshot: Snapshot | undefined): boolean {
  if (snapshot === undefined) return hasOwnLabels(server, agent);
  return server.imageId === snapshot.id || snapshot.serverId === server.id;
}

/** Records the inputs before applying them. The agent stays recorded as hibernated until it answers. */
async function prepare(
  parts: RunbookParts,
  attempt: Attempt,
): Promise<{ inputs: AgentInputs; keys: AgentKeys }> {
  const { known, keys } = recorded(parts.vault, attempt);
  const { hibernated, ...rest } = known;
  const inputs: AgentInputs = {
    ...rest,
    healthPort: parts.settings.healthPort,
    configurationVersion: parts.settings.configurationVersion,
  };
  const kept = hibernated === undefined ? inputs : { ...inputs, hibernated };
  await parts.recordInputs(attempt, { inputs: kept, secrets: parts.vault.seal(inputs.agentId, keys) });
  return { inputs, keys };
}
