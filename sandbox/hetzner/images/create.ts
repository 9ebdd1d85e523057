import { z } from 'zod';
import { serverTypeById } from '../catalogue/server-types.ts';
import { HetznerError, invalidField } from '../errors.ts';
import { labelsInput } from '../labels.ts';
import type { ActionContext } from '../servers/actions.ts';
import { type ImageRow, readImages } from './store.ts';

export const createImageInput = z.object({
  description: z.string().max(255).nullish(),
  type: z.enum(['snapshot', 'backup']).default('snapshot'),
  labels: labelsInput.nullish(),
});

/**
 * Makes an image of a server's disk as it is. It is there at once, and can be used when the action has ended.
 */
export async function insertImage(
  { client, server, now, finishesAt, fails, realMachines }: ActionContext,
  { description, type, labels }: z.output<typeof createImageInput>,
): Promise<ImageRow> {
  if (realMachines)
    throw new HetznerError(
      412,
      'resource_unavailable',
      'the disks of real machines cannot be kept as images in this sandbox',
    );
  if (type === 'backup' && server.backup_window === null)
    throw invalidField('type', 'backups are not enabled for this server');
  const origin = (await readImages(client, [server.image_id], now)).get(server.image_id);
  const { rows } = await client.query<ImageRow>(
    `INSERT INTO hetzner_images (type, description, labels, server_id, server_name, disk_gb, os_flavor, os_version,
       architecture, failed, created_at, available_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING *`,
    [
      type,
      description ?? `${type} of ${server.name}`,
      labels ?? {},
      server.id,
      server.name,
      server.primary_disk_gb,
      origin?.os_flavor ?? 'unknown',
      origin?.os_version ?? null,
      serverTypeById(server.server_type_id).architecture,
      fails,
      now,
      finishesAt,
    ],
  );
  return rows[0]!;
}
