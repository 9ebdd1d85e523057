import { z } from 'zod';
import { SLOT_ID } from '../../stacks/inputs.ts';
import { countOrders, listPresentSlots } from '../pool/listing.ts';
import { actorOf } from './actor.ts';
import { endpoint } from './endpoint.ts';
import { noAccessToClouds } from './no-clouds.ts';
import { poolJson, slotRemovalJson } from './pool-json.ts';

export const showPool = endpoint({
  id: 'showPool',
  method: 'get',
  path: '/api/pool',
  summary: 'The servers that wait for customers',
  access: 'viewer',
  answers: {
    200: {
      description: 'The slots that exist, the oldest first, and how orders fared',
      schema: poolJson,
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

const params = z.object({ slotId: z.string().regex(SLOT_ID, 'is not the id of a waiting server') });

export const removeSlot = endpoint({
  id: 'removeSlot',
  method: 'post',
  path: '/api/pool/{slotId}/remove',
  summary:
    'Let the pool remove a server that waited for an order and that a restore has left without a row. The caller vouches that no agent runs on it',
  access: 'operator',
  params,
  answers: {
    202: { description: 'It is being removed', schema: slotRemovalJson },
    404: { description: 'Hetzner has no record of such a server' },
    409: { description: 'It is the pool’s or an agent’s, or this service has no access to the clouds' },
  },
  handle: async ({
    params: { slotId },
    request,
    response,
    deps: { removeSlot: remove, missingKeys = [] },
  }) => {
    if (remove === undefined) throw noAccessToClouds(missingKeys);
    response.status(202).json(await remove({ slotId, actor: actorOf(request, response) }));
  },
});
