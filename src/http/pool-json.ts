import { z } from 'zod';
import { SLOT_STANDINGS } from '../pool/standings.ts';

const slotJson = z
  .object({
    slotId: z.string(),
    project: z.string(),
    location: z.string(),
    plan: z.string(),
    status: z.enum(SLOT_STANDINGS).meta({
      description: 'claimed: its agent has not adopted it yet; retired: it is being removed',
    }),
    release: z
      .string()
      .nullable()
      .meta({ description: 'The version of the playbook that it is configured with' }),
    healthyAt: z.iso.datetime().nullable().meta({ description: 'When it last answered' }),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Slot' });

export const poolJson = z.object({
  items: z.array(slotJson),
  hits: z.int().meta({ description: 'Orders that got a slot' }),
  misses: z.int().meta({ description: 'Orders that found none and got a new server' }),
});

export const slotRemovalJson = z.object({
  slotId: z.string(),
  serverName: z.string().nullable().meta({ description: 'Null: only keys are left of it' }),
});
