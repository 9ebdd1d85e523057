import { z } from 'zod';
import { ARCHITECTURES, IMAGE_STATUSES } from '../database/image-tables.ts';

export const imageJson = z
  .object({
    imageId: z.string(),
    project: z.string(),
    location: z.string().meta({ description: 'Where it is built; servers everywhere are made from it' }),
    version: z.string().meta({ description: 'The version of the playbook that it is configured with' }),
    architecture: z.enum(ARCHITECTURES),
    status: z.enum(IMAGE_STATUSES).meta({ description: 'bad: no server is made from it any more' }),
    step: z.string().nullable(),
    snapshotId: z.string().nullable(),
    sizeGb: z.number().nullable().meta({ description: 'What Hetzner bills' }),
    fits: z.boolean().meta({ description: 'Whether new servers may be made from it now' }),
    error: z.string().nullable(),
    createdAt: z.iso.datetime(),
    availableAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Image' });

export type ImageJson = z.input<typeof imageJson>;

export const imagesJson = z.object({ items: z.array(imageJson) });

export const prunedJson = z.object({ removed: z.array(z.string()) });
