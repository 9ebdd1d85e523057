import { z } from 'zod';
import type { AgentInputs, FoundResources } from '../../stacks/inputs.ts';
import type { StackOutputs } from '../../stacks/outputs.ts';
import { markWoken } from '../agents/hibernation.ts';
import { type AgentOutputs, agentOutputsSchema } from '../agents/outputs.ts';
import type { AgentKeys } from '../agents/secrets.ts';
import { errorMessage, LostError, PermanentError, RetryableError } from '../errors.ts';
import type { Server, Snapshot } from '../hetzner/hetzner.ts';
import type { Attempt } from '../operations/attempt.ts';
import { reportedOutputs } from '../operations/effects.ts';
import { defineOperation } from '../operations/registry.ts';
import type { RunbookParts } from '../operations/runbook-parts.ts';
import { NOT_JOINED } from '../pulumi/errors.ts';
import { followSteps, renewedKey } from './provision.ts';
import { recorded, toProgram } from './steps/agent-program.ts';
import { identify, type PresentDevice } from './steps/device.ts';
import { untilHealthy } from './steps/healthy.ts';
import { keepSnapshot } from './steps/keep-snapshot.ts';
import { keptDevice } from './steps/kept-device.ts';
import { recordVerdict, withOutdated } from './steps/outdated-snapshots.ts';
import { agentOutputs } from './steps/outputs.ts';
import { findResources, hasOwnLabels, lookUpServer } from './steps/own-server.ts';
import { recordedSnapshot } from './steps/own-snapshots.ts';
import { switchOn } from './steps/power.ts';
import { assertHeld, clearPending, removeFromTailnet, withLockRecovery } from './steps/recovery.ts';
import { isComplete, removeSnapshots } from './steps/snapshots.ts';
import { withRoom } from './steps/with-room.ts';

const effect = z.object({ kind: z.literal('woken'), outputs: agentOutputsSchema });

/**
 * Makes a server from a hibernated agent's snapshot, configures it, waits until it answers as the same
 * tailnet device, and then deletes the snapshot. If the device is gone, the server joins as a new one under
 * the same readable name. Each attempt takes over the server of the one before. The server proves by its host
 * key that its disk is the agent's: no other disk holds it.
 */
export const wake = defineOperation<z.infer<typeof effect>>({
  kind: 'wake',
  rank: 78,
  from: ['hibernated'],
  exclusive: true,
  runsAgent: true,
  followsHolds: true,
  // Like a hibernate: it may have to keep a server's disk in a snapshot.
  limitSeconds: 90 * 60,
  effect,
  succeed: (trx, agentId, { outputs }) => markWoken(trx, agentId, outputs),
  reported: (agentId, report) => ({ kind: 'woken', outputs: reportedOutputs(agentId, report) }),
  cli: "make a hibernated agent's server again from its snapshot",
  isOnList: true,
  run: (parts) => async (attempt) => {
    attempt.step('preparing');
    // Also on a first attempt: it may follow an operation that failed half-way.
    const exists = await clearPending(parts.executor, attempt);
    const { device, server, snapshotId, inputs, keys } = await prepare(parts, attempt);
    if (server?.status === 'off') await switchOn(parts, attempt, server);
    attempt.step('creating_server');
    const { sshKeyId } = await findResources(parts.hetzner, attempt.agent);
    const found: FoundResources = {
      ...(sshKeyId === undefined ? {} : { sshKeyId }),
      ...(server === undefined ? {} : { serverId: server.id }),
    };
    const program = { ...toProgram(inputs, keys, found), device, restoredFrom: snapshotId };
    assertHeld(attempt);
    const up = () =>
      parts.executor.up(attempt, program, {
        mayBeNew: !exists,
        keys,
        onProgress: (progress) => followSteps(attempt, progress),
      });
    const result = await withRoom(parts, attempt, () =>
      withLockRecovery(parts.executor, attempt, attempt.agent.stack_name, up),
    );
    const outputs = await withDevice(parts, attempt, agentOutputs(result.outputs), device);
    attempt.step('verifying');
    await untilHealthy(parts, attempt, outputs);
    attempt.step('removing_snapshot');
    await removeOutdated(parts, attempt);
    return { kind: 'woken', outputs };
  },
});

/**
 * What a wake starts from. Without a `device` the server joins as a new one, without a `server` it is made.
 */
interface Waking {
  device: PresentDevice | undefined;
  server: Server | undefined;
  snapshotId: string;
  inputs: AgentInputs;
  keys: AgentKeys;
}

/**
 * Finds the agent's server and device, and records the inputs before applying them. The agent stays recorded
 * as hibernated until it answers.
 */
async function prepare(parts: RunbookParts, attempt: Attempt): Promise<Waking> {
  const recordedId = attempt.agent.snapshot_id;
  if (recordedId === null) throw new PermanentError('The agent has no recorded snapshot');
  const { known, keys } = recorded(parts.vault, attempt);
  const present = await findServerToWake(parts, attempt, recordedId);
  const device = await keptDevice(parts, attempt);
  const joining = { server: present, snapshotId: recordedId, known };
  const { server, snapshotId, ...named } =
    device === undefined ? await joinAnew(parts, attempt, joining) : joining;
  const { hibernated, ...rest } = named.known;
  const inputs: AgentInputs = {
    ...rest,
    healthPort: parts.settings.healthPort,
    configurationVersion: parts.settings.configurationVersion,
  };
  // Recorded before the server is switched on, or runs on.
  const marked =
    server === undefined ? hibernated : await withOutdated(parts, attempt, { server, hibernated });
  const kept = marked === undefined ? inputs : { ...inputs, hibernated: marked };
  await parts.recordInputs(attempt, { inputs: kept, secrets: parts.vault.seal(inputs.agentId, keys) });
  return { device, server, snapshotId, inputs, keys };
}

interface Joining {
  server: Server | undefined;
  snapshotId: string;
  known: AgentInputs;
}

/**
 * The device is gone. A server that was made with the recorded generation joins by itself, unless it has
 * failed to. Any other knows only the old device's keys, and nothing reaches it: its disk is kept in a
 * snapshot, and the server is deleted. So there is no server when the next generation is recorded, and a
 * later attempt knows with which key a server that it finds was made.
 */
async function joinAnew(parts: RunbookParts, attempt: Attempt, joining: Joining): Promise<Joining> {
  const { server, known } = joining;
  const joins = known.hibernated?.joinGeneration === known.keyGeneration;
  if (server !== undefined && joins && attempt.operation.failure_code !== NOT_JOINED) return joining;
  attempt.log('Its tailnet device is gone: the server will join the tailnet as a new one');
  const snapshotId = server === undefined ? joining.snapshotId : await replaceServer(parts, attempt, server);
  attempt.step('renewing_key');
  await removeFromTailnet(parts, attempt);
  const renewed = renewedKey(parts.vault, known);
  const hibernated = { snapshotId, joinGeneration: renewed.keyGeneration };
  return { server: undefined, snapshotId, known: { ...renewed, hibernated } };
}

/** Keeps a server's disk in a snapshot, and deletes the server. @returns the snapshot's id */
async function replaceServer(parts: RunbookParts, attempt: Attempt, server: Server): Promise<string> {
  if (attempt.agent.inputs?.hibernated?.joinGeneration !== undefined) await recordVerdict(parts, attempt);
  const { id } = await keepSnapshot(parts, attempt, server);
  await removeServer(parts, attempt, server);
  attempt.log(
    `deleted server ${server.name} (${server.id}), which could not join; snapshot ${id} has its disk`,
  );
  return id;
}

/** Deletes a server, also from the state: with a server in it, `up` would make none. */
async function removeServer(parts: RunbookParts, attempt: Attempt, { id }: Server): Promise<void> {
  assertHeld(attempt);
  await parts.hetzner.deleteServer(id, { wait: true });
  await clearPending(parts.executor, attempt);
}

/** The outputs with the device's id: the recorded one's, or that of the device that has just joined. */
async function withDevice(
  { tailscale }: RunbookParts,
  attempt: Attempt,
  outputs: StackOutputs,
  device: PresentDevice | undefined,
): Promise<AgentOutputs> {
  if (device === undefined) return identify(tailscale, attempt, outputs);
  return { ...outputs, tailnetNodeId: device.nodeId };
}

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
  await removeServer(parts, attempt, server);
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
