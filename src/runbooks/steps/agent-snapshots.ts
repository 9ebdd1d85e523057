import { agentSnapshotName } from '../../../stacks/inputs.ts';
import { readAgentSnapshot, toAgentSnapshotLabels } from '../../../stacks/labels.ts';
import type { MadeSnapshot } from '../../agents/snapshots.ts';
import { RetryableError } from '../../errors.ts';
import type { Server, Snapshot } from '../../hetzner/hetzner.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import { listAgentSnapshots } from './own-snapshots.ts';
import { assertHeld } from './recovery.ts';
import { isComplete, type SnapshotDeps } from './snapshots.ts';

/**
 * Makes the snapshot of this operation, or waits for the one that an earlier attempt has begun. So one
 * operation leaves one snapshot, wherever it is killed:
 *
 * - before the call: the row says `making`, nothing is at Hetzner; the next attempt calls;
 * - after the call, before or after the answer: Hetzner makes it; the next attempt finds it by its label;
 * - it is complete, and the end was not recorded: the same;
 * - the operation has ended without success: the row is collected (`src/snapshots/keeper.ts`), which finds by
 *   the same label what there is, and deletes it.
 *
 * @throws RetryableError
 */
export async function takeAgentSnapshot(
  deps: SnapshotDeps & Pick<RunbookParts, 'snapshotSeal'>,
  run: Attempt,
  { server, why }: { server: Server; why: string },
): Promise<MadeSnapshot> {
  const { agent, operation } = run;
  const begun = await findBegun(deps, run, server);
  if (begun !== undefined) run.log(`snapshot ${begun.id} of ${server.name} has been begun before`);
  const owner = { agentId: agent.agent_id, operationId: agent.inputs?.operationId };
  const facts = toAgentSnapshotLabels(owner, {
    ...{ snapshotId: operation.operation_id, why },
    tailnetNodeId: agent.tailnet_node_id,
  });
  const labels = (await deps.snapshotSeal?.seal(facts, server.id)) ?? facts;
  const named = { name: agentSnapshotName(agent.agent_id), labels };
  assertHeld(run);
  const made = await (begun === undefined
    ? deps.hetzner.createSnapshot(server.id, named, run.signal)
    : deps.hetzner.awaitSnapshot(begun.id, run.signal));
  if (!isComplete(made) || made.serverId !== server.id)
    throw new RetryableError(`Snapshot ${made.id} is not a complete one of ${server.name} (${server.id})`);
  run.log(`snapshot ${made.id} of ${server.name} is complete: ${made.sizeGb?.toFixed(2)} GB`);
  return { hetznerId: made.id, sizeGb: made.sizeGb!, serverId: server.id };
}

/** Finds what an earlier attempt has begun. One that Hetzner could not make is deleted. */
async function findBegun(deps: SnapshotDeps, run: Attempt, server: Server): Promise<Snapshot | undefined> {
  const all = await listAgentSnapshots(deps, run.agent);
  const own = all.filter(({ labels }) => readAgentSnapshot(labels) === run.operation.operation_id);
  const usable = own.find(
    (one) => one.serverId === server.id && (one.status === 'creating' || isComplete(one)),
  );
  for (const { id } of own.filter((one) => one !== usable)) {
    assertHeld(run);
    await deps.hetzner.deleteSnapshot(id);
    run.log(`deleted snapshot ${id}, which is of no use`);
  }
  return usable;
}
