import { z } from 'zod';
import { countOrders, listPresentSlots, SLOT_STANDINGS } from '../pool/listing.ts';
import { endpoint } from './endpoint.ts';

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

export const showPool = endpoint({
  id: 'showPool',
  method: 'get',
  path: '/api/pool',
  summary: 'The servers that wait for customers',
  access: 'viewer',
  answers: {
    200: {
      description: 'The slots that exist, the oldest first, and how orders fared',
      schema: z.object({
        items: z.array(slotJson),
        hits: z.int().meta({ description: 'Orders that got a slot' }),
        misses: z.int().meta({ description: 'Orders that found none and got a new server' }),
      }),
    },
  },
  handle: async ({ response, deps: { database } }) => {
    const [slots, orders] = await Promise.all([listPresentSlots(database), countOrders(database)]);
    const items = slots.map(({ healthyAt, createdAt, ...slot }) => ({
      ...slot,
      healthyAt: healthyAt?.toISOString() ?? null,
      createdAt: createdAt.toISOString(),
    }));
    response.json({ items, ...orders });
  },
});
