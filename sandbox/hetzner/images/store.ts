import type { Queryable } from '../../database.ts';
import { type Image, images } from '../catalogue/images.ts';
import type { Architecture } from '../catalogue/server-types.ts';
import { HetznerError, notFound } from '../errors.ts';
import type { Labels } from '../labels.ts';

/** An image that somebody had made of a server's disk. */
export type ImageRow = {
  id: number;
  type: 'snapshot' | 'backup';
  description: string;
  labels: Labels;
  server_id: number;
  server_name: string;
  disk_gb: number;
  os_flavor: Image['os_flavor'];
  os_version: string | null;
  architecture: Architecture;
  protected: boolean;
  /** Making it ended in an error. */
  failed: boolean;
  created_at: Date;
  available_at: Date;
  deleted_at: Date | null;
};

/** A share of the disk: what is stored is compressed, and holds no empty blocks. */
const STORED_SHARE = 0.05;

/** How the API shows an image at a moment. */
export function toImage(row: ImageRow, now: Date): Image {
  const made = row.available_at <= now && !row.failed;
  return {
    id: row.id,
    type: row.type,
    status: row.failed ? 'unavailable' : made ? 'available' : 'creating',
    name: null,
    description: row.description,
    image_size: made ? row.disk_gb * STORED_SHARE : null,
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

/** All images that can be ordered: the provider's, then the project's own, oldest first. */
export async function readAllImages(db: Queryable, now: Date): Promise<Image[]> {
  const { rows } = await db.query<ImageRow>(
    'SELECT * FROM hetzner_images WHERE deleted_at IS NULL ORDER BY id',
  );
  return [...images, ...rows.map((row) => toImage(row, now))];
}

/** The images with these ids, deleted ones too: a server that was made from one still says so. */
export async function readImages(
  db: Queryable,
  ids: readonly number[],
  now: Date,
): Promise<Map<number, Image>> {
  const found = new Map(images.filter(({ id }) => ids.includes(id)).map((image) => [image.id, image]));
  const own = ids.filter((id) => !found.has(id));
  if (own.length === 0) return found;
  const { rows } = await db.query<ImageRow>('SELECT * FROM hetzner_images WHERE id = ANY($1)', [own]);
  for (const row of rows) found.set(row.id, toImage(row, now));
  return found;
}

/** Reads one of the project's own images for a change of it. The provider's can be seen, and not changed. */
export async function lockImage(db: Queryable, id: number): Promise<ImageRow> {
  if (images.some((image) => image.id === id))
    throw new HetznerError(403, 'forbidden', 'system images cannot be changed');
  const { rows } = await db.query<ImageRow>(
    'SELECT * FROM hetzner_images WHERE id = $1 AND deleted_at IS NULL FOR UPDATE',
    [id],
  );
  if (rows[0] === undefined) throw notFound('image');
  return rows[0];
}
