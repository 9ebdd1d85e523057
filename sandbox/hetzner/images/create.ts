import { z } from 'zod';
import { serverTypeById } from '../catalogue/server-types.ts';
import { invalidField } from '../errors.ts';
import { labelsInput } from '../labels.ts';
import type { ActionContext } from '../servers/actions.ts';
import { type ImageRow, readImages } from './store.ts';

export const createImageInput = z.object({
  description: z.string().max(255).nullish(),
  type: z.enum(['snapshot', 'backup']).default('snapshot'),
  labels: labelsInput.nullish(),
});

/** Creates an image of a server's disk. It exists immediately and is usable once the action has ended. */
export async function insertImage(
  { trx, server, now, finishesAt, fails, realMachines }: ActionContext,
  { description, type, labels }: z.output<typeof createImageInput>,
): Promise<ImageRow> {
  if (type === 'backup' && server.backup_window === null)
    throw invalidField('type', 'backups are not enabled for this server');
  const origin = (await readImages(trx, [server.image_id], now)).get(server.image_id);
  return trx
    .insertInto('hetzner_images')
    .values({
      type,
      description: description ?? `${type} of ${server.name}`,
      labels: JSON.stringify(labels ?? {}),
      server_id: server.id,
      server_name: server.name,
      disk_gb: server.primary_disk_gb,
      os_flavor: origin?.os_flavor ?? 'unknown',
      os_version: origin?.os_version ?? null,
      architecture: serverTypeById(server.server_type_id).architecture,
      failed: fails,
      created_at: now,
      available_at: finishesAt,
      machine_disk: realMachines && !fails ? 'wanted' : null,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}
