import { readAgentSnapshot, readHibernation, toSnapshotLabels } from '../../../stacks/labels.ts';
import { RetryableError } from '../../errors.ts';
import type { HetznerClient, Server, Snapshot } from '../../hetzner/hetzner.ts';
import type { SnapshotCalls } from '../../hetzner/snapshots.ts';
import type { Attempt } from '../../operations/attempt.ts';
import { isOutdated } from './outdated-snapshots.ts';
import { ownName } from './own-server.ts';
import { listOwnSnapshots } from './own-snapshots.ts';
import { assertHeld } from './recovery.ts';

export interface SnapshotDeps {
  hetzner: Pick<HetznerClient, Exclude<keyof SnapshotCalls, 'snapshotPage'>>;
}

/** Whether a snapshot is complete, so that a server can be made from it. */
export const isComplete = ({ status, sizeGb }: Snapshot): boolean =>
  status === 'available' && sizeGb !== null && sizeGb > 0;

/**
 * Returns a verified snapshot of the server, which is off: the one that this hibernate has made or begun in
 * an earlier attempt, otherwise a new one. Those of other hibernates may be older than what is on the disk.
 * @param hasRun the server was on since the earlier attempts, so that theirs are outdated
 * @throws RetryableError
 */
export async function takeSnapshot(
  { hetzner }: SnapshotDeps,
  run: Attempt,
  { server, hasRun }: { server: Server; hasRun: boolean },
): Promise<Snapshot> {
  const { agent, operation } = run;
  const begun = hasRun ? undefined : await findBegun({ hetzner }, run, server);
  if (begun !== undefined) run.log(`snapshot ${begun.id} of ${server.name} has been begun before`);
  assertHeld(run);
  const labels = toSnapshotLabels(
    { agentId: agent.agent_id, operationId: agent.inputs?.operationId },
    operation.operation_id,
  );
  const snapshot =
    begun === undefined
      ? await hetzner.createSnapshot(server.id, { name: ownName(agent), labels }, run.signal)
      : await hetzner.awaitSnapshot(begun.id, run.signal);
  if (!isComplete(snapshot) || snapshot.serverId !== server.id)
    throw new RetryableError(
      `Snapshot ${snapshot.id} is not a complete one of ${server.name} (${server.id})`,
    );
  run.log(`snapshot ${snapshot.id} of ${server.name} is complete: ${snapshot.sizeGb?.toFixed(2)} GB`);
  return snapshot;
}

async function findBegun(
  { hetzner }: SnapshotDeps,
  { agent, operation }: Attempt,
  server: Server,
): Promise<Snapshot | undefined> {
  const own = await listOwnSnapshots({ hetzner }, agent);
  const usable = own.filter(
    (one) =>
      one.serverId === server.id && !isOutdated(agent, one) && (one.status === 'creating' || isComplete(one)),
  );
  return (
    usable.find(({ id }) => id === agent.snapshot_id) ??
    usable.find(({ labels }) => readHibernation(labels) === operation.operation_id)
  );
}

/** Removes the agent's own snapshots except `keep`. A protected one stays. */
export async function removeSnapshots(
  deps: SnapshotDeps,
  run: Attempt,
  { keep }: { keep?: string } = {},
): Promise<void> {
  for (const { id, isProtected, labels } of await listOwnSnapshots(deps, run.agent)) {
    // The recorded one may be the agent's snapshot to which it was put back.
    if (id === keep || readAgentSnapshot(labels) !== null) continue;
    if (isProtected) run.log(`snapshot ${id} is protected at Hetzner: left alone`);
    else {
      assertHeld(run);
      await deps.hetzner.deleteSnapshot(id);
      run.log(`deleted snapshot ${id}`);
    }
  }
}
