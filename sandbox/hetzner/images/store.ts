import type { Selectable } from 'kysely';
import type { SandboxDatabase, SandboxTransaction } from '../../database.ts';
import { IMAGES, type Image } from '../catalogue/images.ts';
import { HetznerError, notFound } from '../errors.ts';
import type { ImageTable } from '../tables.ts';

export type ImageRow = Selectable<ImageTable>;

/** A simulated image's share of the disk size: it is compressed and holds no empty blocks. */
const STORED_SHARE = 0.05;

/** Returns an image as the API shows it at a given time. */
export function toImage(row: ImageRow, now: Date): Image {
  const made = row.available_at <= now && !row.failed;
  return {
    id: row.id,
    type: row.type,
    status: row.failed ? 'unavailable' : made ? 'available' : 'creating',
    name: null,
    description: row.description,
    image_size: made ? (row.size_gb ?? row.disk_gb * STORED_SHARE) : null,
    disk_size: row.disk_gb,
    created: row.created_at.toISOString(),
    created_from: { id: row.server_id, name: row.server_name },
    bound_to: row.type === 'backup' ? row.server_id : null,
    os_flavor: row.os_flavor,
    os_version: row.os_version,
    rapid_deploy: false,
    protection: { delete: row.protected },
    deprecated: null,
    deleted: row.deleted_at?.toISOString() ?? null,
    labels: row.labels,
    architecture: row.architecture,
  };
}

/** Reads all images that can be ordered: the provider's, then the project's own, oldest first. */
export async function readAllImages(database: SandboxDatabase, now: Date): Promise<Image[]> {
  const rows = await database
    .selectFrom('hetzner_images')
    .selectAll()
    .where('deleted_at', 'is', null)
    .orderBy('id')
    .execute();
  return [...IMAGES, ...rows.map((row) => toImage(row, now))];
}

/** Reads the images with these ids, including deleted ones: servers created from them still show them. */
export async function readImages(
  database: SandboxDatabase,
  ids: readonly number[],
  now: Date,
): Promise<Map<number, Image>> {
  const found = new Map(IMAGES.filter(({ id }) => ids.includes(id)).map((image) => [image.id, image]));
  const own = ids.filter((id) => !found.has(id));
  if (own.length === 0) return found;
  const rows = await database.selectFrom('hetzner_images').selectAll().where('id', 'in', own).execute();
  for (const row of rows) found.set(row.id, toImage(row, now));
  return found;
}

/** Reads and locks one of the project's own images for a change. The provider's cannot be changed. */
export async function lockImage(trx: SandboxTransaction, id: number): Promise<ImageRow> {
  if (IMAGES.some((image) => image.id === id))
    throw new HetznerError(403, 'forbidden', 'system images cannot be changed');
  const row = await trx
    .selectFrom('hetzner_images')
    .selectAll()
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) throw notFound('image');
  return row;
}
