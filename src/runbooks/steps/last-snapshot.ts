import type { MadeSnapshot } from '../../agents/snapshots.ts';
import type { Server } from '../../hetzner/hetzner.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import { takeAgentSnapshot } from './agent-snapshots.ts';
import { recordedSnapshot } from './own-snapshots.ts';
import { findServers } from './owned.ts';
import { switchOff } from './power.ts';
import { assertHeld } from './recovery.ts';
import { isComplete } from './snapshots.ts';

/**
 * Keeps a last snapshot of an agent that is about to be destroyed, if its plan says so: of its server, which
 * is switched off for it, or the one in whose place a hibernated agent's server was deleted. It is recorded
 * before anything is deleted, so wherever this is killed there is the server, or the recorded snapshot.
 * @returns Hetzner's id of it; undefined if none is wanted, or the agent never had data
 * @throws RetryableError; then nothing is deleted
 */
export async function keepLastSnapshot(parts: RunbookParts, attempt: Attempt): Promise<string | undefined> {
  const begun = await parts.lastSnapshots?.begin(attempt);
  if (begun === undefined || !begun.isWanted || begun.keptId !== undefined) return begun?.keptId;
  const last = await findLast(parts, attempt);
  if (last === undefined) {
    attempt.log('It has no disk with data: no last snapshot is kept');
    return undefined;
  }
  assertHeld(attempt);
  await parts.lastSnapshots?.keep(attempt, last);
  attempt.log(`snapshot ${last.hetznerId} is kept as its last one`);
  return last.hetznerId;
}

async function findLast(parts: RunbookParts, attempt: Attempt): Promise<MadeSnapshot | undefined> {
  const server = await findServer(parts, attempt);
  if (server !== undefined) return snapshotOf(parts, attempt, server);
  const hibernation = await recordedSnapshot(parts.hetzner, attempt.agent);
  if (hibernation === undefined || !isComplete(hibernation)) return undefined;
  const { id: hetznerId, sizeGb, serverId } = hibernation;
  return { hetznerId, sizeGb: sizeGb!, serverId };
}

/** One that never joined the tailnet never ran its agent. */
async function findServer({ hetzner }: RunbookParts, attempt: Attempt): Promise<Server | undefined> {
  const { tailnet_ip: tailnetIp, server_id: serverId } = attempt.agent;
  if (tailnetIp === null) return undefined;
  const servers = (await findServers(hetzner, attempt.agent)).own.filter(
    ({ status }) => status !== 'deleting',
  );
  return servers.find(({ id }) => id === serverId) ?? servers[0];
}

async function snapshotOf(parts: RunbookParts, attempt: Attempt, server: Server): Promise<MadeSnapshot> {
  attempt.step('stopping_server');
  await switchOff(parts, attempt, server);
  attempt.step('creating_snapshot');
  return takeAgentSnapshot(parts, attempt, { server, why: 'before-destroy' });
}
