import { sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import type { Database, Transaction } from '../database/connect.ts';
import type { Architecture } from '../database/image-tables.ts';
import { cutText } from '../database/storable.ts';
import type { ImageParts } from '../operations/runbook-parts.ts';
import { type ImageKind, toRemoval } from './images.ts';

/** The architecture of a server type by its name: Hetzner's arm servers are the `cax` types. */
export const architectureOf = (serverType: string): Architecture =>
  serverType.startsWith('cax') ? 'arm' : 'x86';

/** The images in this database, as the runbooks choose among them. */
export function createImageParts(database: Database): ImageParts {
  return {
    find: async ({ serverType, ...kind }) => {
      const found = await newestImage(database, { ...kind, architecture: architectureOf(serverType) });
      return found?.snapshot_id ?? undefined;
    },
    isUsable: async (snapshotId) => {
      // Waits for a prune that is looking for servers that use it, and sees what that has decided.
      const row = await database
        .selectFrom('images')
        .select('image_id')
        .where('snapshot_id', '=', snapshotId)
        .where('status', '=', 'available')
        .forShare()
        .executeTakeFirst();
      return row !== undefined;
    },
    doubt: (snapshotId, doubt) => database.transaction().execute((trx) => doubtImage(trx, snapshotId, doubt)),
    markBad: (snapshotId, why) => database.transaction().execute((trx) => markBad(trx, snapshotId, why)),
  };
}

function newestImage(database: Database, { project, version, architecture }: ImageKind) {
  return database
    .selectFrom('images')
    .selectAll()
    .where((row) => row.and({ project, version, architecture, status: 'available' }))
    .orderBy('available_at', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** available → bad: no further server is made from it. Repeating it changes nothing. */
async function markBad(trx: Transaction, snapshotId: string, why: string): Promise<void> {
  const row = await trx
    .updateTable('images')
    .set({ status: 'bad', error: cutText(why, 8_000), updated_at: sql`now()` })
    .where('snapshot_id', '=', snapshotId)
    .where('status', '=', 'available')
    .returning('image_id')
    .executeTakeFirst();
  if (row === undefined) return;
  const details = { imageId: row.image_id, snapshotId, why };
  await audit(trx, { actor: 'service', action: 'image.bad', details });
}

/** Records the first owner whose server of it did not join; that of another one marks it bad. */
async function doubtImage(
  trx: Transaction,
  snapshotId: string,
  { ownerId, why }: { ownerId: string; why: string },
): Promise<boolean> {
  const row = await trx
    .updateTable('images')
    .set({ doubted_by: sql`coalesce(doubted_by, ${ownerId})`, updated_at: sql`now()` })
    .where('snapshot_id', '=', snapshotId)
    .where('status', '=', 'available')
    .returning('doubted_by')
    .executeTakeFirst();
  if (row === undefined) return true;
  if (row.doubted_by === ownerId) return false;
  await markBad(trx, snapshotId, `${why} (${row.doubted_by} and ${ownerId})`);
  return true;
}

/** A snapshot that Hetzner no longer has: nothing is made from it, and nothing is billed for it. */
export async function forgetImage(database: Database, snapshotId: string, why: string): Promise<void> {
  await createImageParts(database).markBad(snapshotId, why);
}

/**
 * Removes images that no new server is made from: bad ones, those of another version of the playbook, and all
 * but the newest that fits. Never one that a server which is being made uses.
 * @returns the ids of those that are now being removed
 */
export async function pruneImages(
  trx: Transaction,
  { version, actor }: { version: string; actor: string },
): Promise<string[]> {
  const { rows } = await sql<{ imageId: string }>`
    with kept as (select distinct on (project, architecture) image_id from images
      where status = 'available' and version = ${version} order by project, architecture, available_at desc)
    select image_id as "imageId" from images where status in ('available', 'bad')
      and image_id not in (select image_id from kept) order by image_id for update`.execute(trx);
  const removed: string[] = [];
  // A statement of its own after the lock: it sees every server whose image was recorded before.
  for (const { imageId } of rows) if (await removeUnused(trx, imageId, actor)) removed.push(imageId);
  return removed;
}

async function removeUnused(trx: Transaction, imageId: string, actor: string): Promise<boolean> {
  const row = await trx
    .updateTable('images')
    .set({ ...toRemoval(), updated_at: sql`now()` })
    .where('image_id', '=', imageId)
    .where(sql<boolean>`not exists (select 1 from agents a where a.inputs->>'image' = images.snapshot_id
        and a.status in ('requested', 'provisioning'))
      and not exists (select 1 from slots s where s.inputs->>'image' = images.snapshot_id and s.status = 'making')`)
    .returning(['snapshot_id'])
    .executeTakeFirst();
  if (row === undefined) return false;
  await audit(trx, {
    actor,
    action: 'image.prune',
    details: { imageId, snapshotId: row.snapshot_id },
  });
  return true;
}
