import { PermanentError } from '../../errors.ts';
import type { Server, Snapshot } from '../../hetzner/hetzner.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import { isOutdated, recordOutdated } from './outdated-snapshots.ts';
import { recordedSnapshot } from './own-snapshots.ts';
import { switchOff } from './power.ts';
import { assertHeld } from './recovery.ts';
import { isComplete, removeSnapshots, takeSnapshot } from './snapshots.ts';

/**
 * Returns a verified and recorded snapshot that is what the agent's data is: the recorded one, or a new one
 * of its server, which is switched off for it.
 * @throws PermanentError if there is neither, or if the server is protected
 */
export async function keepSnapshot(
  parts: RunbookParts,
  attempt: Attempt,
  server: Server | undefined,
): Promise<Snapshot> {
  return (await keptSnapshot(parts, attempt, server)) ?? (await keep(parts, attempt, server));
}

/** Makes sure that the server is off, and that a verified snapshot of it is recorded. */
async function keep(parts: RunbookParts, attempt: Attempt, server: Server | undefined): Promise<Snapshot> {
  if (server === undefined || server.status === 'deleting') throw nothingLeft(attempt);
  if (server.isProtected)
    throw new PermanentError(
      `${server.name} is protected at Hetzner against delete; nothing has been touched. Remove the protection there, then request it again`,
    );
  const hasRun = server.status !== 'off';
  // While it is hibernated, the recorded snapshot may be all there is until the new one is recorded.
  if (hasRun && attempt.agent.status === 'suspended') await forgetSnapshots(parts, attempt);
  else if (hasRun) await recordOutdated(parts, attempt, server);
  attempt.step('stopping_server');
  await switchOff(parts, attempt, server);
  attempt.step('creating_snapshot');
  const snapshot = await takeSnapshot(parts, attempt, { server, hasRun });
  assertHeld(attempt);
  await parts.recordSnapshot(attempt, snapshot.id);
  return snapshot;
}

/** Forgets and removes what earlier attempts have kept: the server has been on since, so it is outdated. */
async function forgetSnapshots(parts: RunbookParts, attempt: Attempt): Promise<void> {
  await parts.recordSnapshot(attempt, null);
  await removeSnapshots(parts, attempt);
}

/**
 * The recorded snapshot, if it is what the agent's data is: its server is gone or going, has been off since
 * the snapshot, or never started. A server that may have run since, after a wake, holds what is newer.
 */
async function keptSnapshot(
  { hetzner }: RunbookParts,
  { agent }: Attempt,
  server: Server | undefined,
): Promise<Snapshot | undefined> {
  const snapshot = await recordedSnapshot(hetzner, agent);
  if (snapshot === undefined || !isComplete(snapshot)) return undefined;
  if (server === undefined || server.status === 'deleting') return snapshot;
  if (agent.status !== 'hibernated') return undefined;
  if (server.imageId === snapshot.id) return (await hetzner.failedToStart(server.id)) ? snapshot : undefined;
  const isItsDisk = snapshot.serverId === server.id && !isOutdated(agent, snapshot);
  return server.status === 'off' && isItsDisk ? snapshot : undefined;
}

function nothingLeft({ agent: { snapshot_id: snapshotId } }: Attempt): PermanentError {
  return new PermanentError(
    snapshotId === null
      ? 'The server is no longer at Hetzner, and no snapshot of it was recorded'
      : `Neither the server nor its snapshot ${snapshotId} is at Hetzner: its data is lost`,
  );
}
