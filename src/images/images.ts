import { createHash, randomBytes } from 'node:crypto';
import { type Selectable, sql } from 'kysely';
import { type AgentInputs, IMAGE_ID } from '../../stacks/inputs.ts';
import { recordJoinName } from '../agents/devices.ts';
import { recordServerName } from '../agents/server-names.ts';
import type { Database, Transaction } from '../database/connect.ts';
import type { Architecture, ImageTable } from '../database/image-tables.ts';
import { recovering } from '../database/recovering.ts';
import { cutText, jsonText } from '../database/storable.ts';
import { errorMessage, getFailureCode, LostError } from '../errors.ts';
import type { Snapshot } from '../hetzner/hetzner.ts';

/** A row of the table of images. */
export type ImageRow = Selectable<ImageTable>;

/** What an image must have for a server. */
export interface ImageKind {
  project: string;
  version: string;
  architecture: Architecture;
}

/** One attempt at the building or removing of an image. Each of its writes is conditional on all three. */
export interface ImageWork {
  imageId: string;
  attempt: number;
  workerId: string;
}

/** In code points; the columns have the same limits. */
const LONGEST_ERROR = 8_000;
const MOST_TRIES = 3;
/** The failure code of an image that is removed because it could not be built. */
export const NOT_BUILT = 'not_built';
const RETRY_SECONDS = 10;
const LONGEST_RETRY_SECONDS = 600;
/** So long a build waits for a worker with its version of the playbook. */
const ORPHAN_MINUTES = 60;
const NOBODY_BUILDS = 'No worker with its version of the playbook has worked on it for an hour';

/** Whether an owner's id is that of an image's build, not an agent's. */
export const isImage = (ownerId: string): boolean => IMAGE_ID.test(ownerId);

const newImageId = (version: string) => {
  const part = /^[0-9a-f]{16}$/.test(version) ? version : createHash('sha256').update(version).digest('hex');
  return `image-${part.slice(0, 16)}-${randomBytes(4).toString('hex')}`;
};

/** Queues the build of an image, unless one of this kind is being built. @returns its row */
export async function requestImage(
  database: Database,
  kind: ImageKind & { location: string; plan: string },
): Promise<ImageRow> {
  await database
    .insertInto('images')
    .values({ ...kind, image_id: newImageId(kind.version) })
    .onConflict((conflict) =>
      conflict.columns(['project', 'version', 'architecture']).where('status', '=', 'building').doNothing(),
    )
    .execute();
  const { project, version, architecture } = kind;
  return database
    .selectFrom('images')
    .selectAll()
    .where((row) => row.and({ project, version, architecture, status: 'building' }))
    .executeTakeFirstOrThrow();
}

/**
 * Takes the next image that is to be built or removed, removals first. An attempt whose lease has expired is
 * lost, and the next one begins. `version`: that of this worker's playbook; a build of another one is left to
 * the workers that have it. If none has touched it for an hour it is taken to be removed. `projects`: the
 * Hetzner projects that this worker has; default: all.
 */
export async function takeImageWork(
  database: Database,
  workerId: string,
  {
    leaseSeconds,
    version,
    projects,
  }: { leaseSeconds: number; version: string; projects?: readonly string[] | undefined },
): Promise<ImageRow | undefined> {
  const isOrphan = sql<boolean>`(status = 'building' and version <> ${version})`;
  const { rows } = await sql<ImageRow>`
    update images set attempt = attempt + 1, worker_id = ${workerId}, updated_at = now(),
      status = case when ${isOrphan} then 'removing' else status end,
      error = case when ${isOrphan} then ${NOBODY_BUILDS} else error end,
      failure_code = case when ${isOrphan} then ${NOT_BUILT} else failure_code end,
      tries = case when ${isOrphan} then 0 when lease_until is null then tries else tries + 1 end,
      lease_until = now() + make_interval(secs => ${leaseSeconds})
    where image_id = (select image_id from images where status in ('building', 'removing') and run_after <= now()
        and not ${recovering}
        and (${projects === undefined} or project = any(${[...(projects ?? [])]}::text[]))
        and (lease_until is null or lease_until < now())
        and (not ${isOrphan} or updated_at < now() - make_interval(mins => ${ORPHAN_MINUTES}))
      order by status desc, created_at limit 1 for update skip locked)
    returning *`.execute(database);
  return rows[0];
}

const held = (work: ImageWork) =>
  sql<boolean>`image_id = ${work.imageId} and attempt = ${work.attempt} and worker_id = ${work.workerId}
    and status in ('building', 'removing')`;

/** Extends the lease. @throws LostError if another attempt has begun */
export function renewImageLease(database: Database, work: ImageWork, seconds: number): Promise<void> {
  return change(database, work, { lease_until: sql<Date>`now() + make_interval(secs => ${seconds})` });
}

/** Records the step that people see. */
export async function recordImageStep(database: Database, work: ImageWork, step: string): Promise<void> {
  await database.updateTable('images').set({ step }).where(held(work)).execute();
}

/** Records names, keys and inputs before anything is created. @throws LostError, ConflictError */
export async function recordImageInputs(
  database: Database,
  work: ImageWork,
  { inputs, secrets }: { inputs: AgentInputs; secrets: Buffer },
): Promise<void> {
  await recordJoinName(database, work.imageId, inputs);
  await recordServerName(database, work.imageId, inputs);
  await change(database, work, { inputs: jsonText(inputs), secrets });
}

/** Records the complete snapshot, before the server that it was made of is deleted. @throws LostError */
export function recordImageSnapshot(
  database: Database,
  work: ImageWork,
  { id, sizeGb }: Pick<Snapshot, 'id' | 'sizeGb'>,
): Promise<void> {
  return change(database, work, { snapshot_id: id, size_gb: sizeGb });
}

const RELEASED = { worker_id: null, lease_until: null };
const ENDED = { ...RELEASED, secrets: null, step: null };

/** building → available. @throws LostError */
export function markImageAvailable(database: Database, work: ImageWork): Promise<void> {
  const status = 'available' as const;
  return change(database, work, { ...ENDED, status, available_at: sql<Date>`now()`, error: null });
}

/** removing → removed, for good. @throws LostError */
export function markImageRemoved(database: Database, work: ImageWork): Promise<void> {
  const columns = { ...ENDED, status: 'removed' as const, inputs: null, snapshot_id: null };
  return change(database, work, { ...columns, ended_at: sql<Date>`now()` });
}

/**
 * Queues the work again after a failure. What cannot be built is removed; a removal is tried until it
 * succeeds, because something may be billed. @throws LostError
 */
export async function settleImageFailure(
  database: Database,
  work: ImageWork,
  image: Pick<ImageRow, 'status' | 'tries'>,
  { error, counts }: { error: unknown; counts: boolean },
): Promise<void> {
  const tries = image.tries + (counts ? 1 : 0);
  const builds = image.status === 'building';
  const why = {
    error: cutText(errorMessage(error), LONGEST_ERROR),
    // A removal keeps the reason why there is one.
    ...(builds && { failure_code: getFailureCode(error) ?? null }),
  };
  if (builds && tries >= MOST_TRIES)
    return change(database, work, { ...toRemoval(), ...why, failure_code: NOT_BUILT, ...RELEASED });
  const seconds = counts ? Math.min(RETRY_SECONDS * 2 ** (tries - 1), LONGEST_RETRY_SECONDS) : 0;
  const run_after = sql<Date>`now() + make_interval(secs => ${seconds})`;
  return change(database, work, { ...why, ...RELEASED, tries, run_after });
}

/** The columns of an image that is to be removed, from whatever it was. */
export const toRemoval = () => ({
  status: 'removing' as const,
  tries: 0,
  step: null,
  run_after: sql<Date>`now()`,
});

async function change(database: Database, work: ImageWork, columns: object): Promise<void> {
  const { numUpdatedRows } = await database
    .updateTable('images')
    .set({ ...columns, updated_at: sql`now()` })
    .where(held(work))
    .executeTakeFirst();
  if (numUpdatedRows === 0n)
    throw new LostError(`Attempt ${work.attempt} at ${work.imageId} is no longer ours`);
}

/** Locks the image until the transaction ends. */
export async function lockImage(trx: Transaction, imageId: string): Promise<void> {
  await trx.selectFrom('images').select('image_id').where('image_id', '=', imageId).forUpdate().execute();
}
