import { toImageLabels } from '../../stacks/labels.ts';
import { audit } from '../agents/audit.ts';
import type { Database } from '../database/connect.ts';
import { PermanentError, RetryableError } from '../errors.ts';
import type { Server, Snapshot } from '../hetzner/hetzner.ts';
import type { Attempt } from '../operations/attempt.ts';
import type { RecordEnd } from '../operations/behind-fence.ts';
import type { RunbookParts } from '../operations/runbook-parts.ts';
import { poll } from '../processes/poll.ts';
import { bringServerUp } from '../runbooks/provision.ts';
import { presentServer } from '../runbooks/steps/own-server.ts';
import { assertHeld } from '../runbooks/steps/recovery.ts';
import { removeEverything } from '../runbooks/steps/remove-everything.ts';
import { isComplete } from '../runbooks/steps/snapshots.ts';
import {
  type ImageRow,
  type ImageWork,
  markImageAvailable,
  markImageRemoved,
  recordImageSnapshot,
} from './images.ts';

export interface BuildDeps {
  database: Database;
  /** As a provision's, with the build's own recorder, and without images. */
  parts: RunbookParts;
  /** Whether the playbook's last step switches the server off; simulated machines have none. */
  switchesItselfOff: boolean;
  /** How long cleaning and switching off may take; default two minutes. */
  offWithinSeconds?: number;
}

const OFF_WITHIN_SECONDS = 120;

/**
 * Makes the image: a server with a stack of its own, the playbook without an agent, a cleaned disk, its
 * snapshot. At every end the server is gone. A snapshot that an earlier attempt began is used; otherwise an
 * attempt begins from nothing, because nobody knows how far the one before had cleaned. @returns what records
 * the image as available
 */
export async function buildImage(
  deps: BuildDeps,
  attempt: Attempt,
  image: ImageRow,
  work: ImageWork,
): Promise<RecordEnd> {
  const { database, parts } = deps;
  const begun = await findBegun(parts, image);
  if (begun === undefined && image.attempt > 1) await removeEverything(parts, attempt);
  const snapshot =
    begun === undefined
      ? await makeSnapshot(deps, attempt, image)
      : await parts.hetzner.awaitSnapshot(begun.id, attempt.signal);
  if (!isComplete(snapshot)) throw new RetryableError(`Snapshot ${snapshot.id} is not complete`);
  await recordImageSnapshot(database, work, snapshot);
  const evidence = await removeEverything(parts, attempt);
  return () =>
    database.transaction().execute(async (trx) => {
      await markImageAvailable(trx, work);
      await audit(trx, {
        actor: 'service',
        action: 'image.built',
        details: { imageId: image.image_id, snapshotId: snapshot.id, sizeGb: snapshot.sizeGb, ...evidence },
      });
    });
}

/** Removes the image, and what its build has left. @returns what records that */
export async function removeImage(
  { database, parts }: BuildDeps,
  attempt: Attempt,
  image: ImageRow,
  work: ImageWork,
): Promise<RecordEnd> {
  await removeEverything(parts, attempt);
  attempt.step('deleting_snapshots');
  const listed = await parts.hetzner.listSnapshots(image.image_id);
  const ids = new Set(listed.filter((one) => isNamed(one, image)).map(({ id }) => id));
  if (image.snapshot_id !== null) ids.add(image.snapshot_id);
  for (const id of ids) {
    assertHeld(attempt);
    await parts.hetzner.deleteSnapshot(id);
  }
  return () => markImageRemoved(database, work);
}

const isNamed = ({ name }: Snapshot, image: ImageRow) => name === image.image_id;

/** A snapshot is begun only of a disk that is clean. */
async function findBegun(parts: RunbookParts, image: ImageRow): Promise<Snapshot | undefined> {
  const own = (await parts.hetzner.listSnapshots(image.image_id)).filter((one) => isNamed(one, image));
  return own.find(isComplete) ?? own.find(({ status }) => status === 'creating');
}

async function makeSnapshot(deps: BuildDeps, attempt: Attempt, image: ImageRow): Promise<Snapshot> {
  const { parts } = deps;
  const { executor } = parts;
  const up: typeof executor.up = (run, program, options) =>
    executor.up(run, program, { ...options, becomesImage: true });
  const { outputs } = await bringServerUp({ ...parts, executor: { ...executor, up } }, attempt);
  attempt.step('switching_off');
  const server = await presentServer(parts.hetzner, {
    ...attempt.agent,
    server_id: String(outputs.serverId),
  });
  if (!deps.switchesItselfOff) await parts.hetzner.powerOff(server.id, attempt.signal);
  await untilOff(deps, attempt, server);
  attempt.step('making_snapshot');
  assertHeld(attempt);
  const owner = { agentId: image.image_id, operationId: image.work_id };
  const labels = toImageLabels(owner, image);
  return parts.hetzner.createSnapshot(server.id, { name: image.image_id, labels }, attempt.signal);
}

/** It goes off by itself once its disk is clean. @throws RetryableError if it does not */
async function untilOff(
  { parts, offWithinSeconds = OFF_WITHIN_SECONDS }: BuildDeps,
  attempt: Attempt,
  server: Server,
) {
  const isOff = async () => {
    const now = await parts.hetzner.getServer(server.id);
    if (now === undefined)
      throw new PermanentError(`Server ${server.name} was deleted while an image was made`);
    return now.status === 'off' ? true : undefined;
  };
  const pauses = { intervalMs: 500, longestIntervalMs: 5_000, timeoutMs: offWithinSeconds * 1000 };
  const off = await poll(isOff, { ...pauses, signal: attempt.signal });
  if (off === undefined)
    throw new RetryableError(`${server.name} has not cleaned its disk and switched itself off in time`);
}
