import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import type { Architecture, ImageStatus } from '../database/image-tables.ts';

/** An image as people see it. */
export interface ImageState {
  imageId: string;
  project: string;
  location: string;
  version: string;
  architecture: Architecture;
  status: ImageStatus;
  step: string | null;
  snapshotId: string | null;
  /** What Hetzner bills. */
  sizeGb: number | null;
  error: string | null;
  createdAt: Date;
  availableAt: Date | null;
}

const MOST = 1_000;

/** Lists the images that exist or are being built, and builds that failed within a week, the newest first. */
export async function listImages(database: Database): Promise<ImageState[]> {
  const { rows } = await sql<ImageState>`
    select image_id as "imageId", project, location, version, architecture, status, step,
      snapshot_id as "snapshotId", size_gb as "sizeGb", error, created_at as "createdAt",
      available_at as "availableAt"
    from images where status <> 'removed' or (failure_code is not null and ended_at > now() - interval '7 days')
    order by created_at desc, image_id limit ${MOST}`.execute(database);
  return rows;
}

/** The images in numbers: how many there are by status, and how many gigabytes are billed for them. */
export async function countImages(
  database: Database,
): Promise<{ status: ImageStatus; count: number; sizeGb: number }[]> {
  const { rows } = await sql<{ status: ImageStatus; count: number; sizeGb: number }>`
    select status, count(*) as count, coalesce(sum(size_gb), 0)::float8 as "sizeGb"
    from images where status <> 'removed' group by status order by status`.execute(database);
  return rows;
}
