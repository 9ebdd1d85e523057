import { z } from 'zod';
import { approveBreaker } from '../../limits/approve.ts';
import { listHeldChanges, listBreakers as readBreakers } from '../../limits/listing.ts';
import { actorOf } from '../actor.ts';
import { businessNow } from '../deps.ts';
import { endpoint } from '../endpoint.ts';
import { cursorKind, pageOf, pageQuery } from '../paging.ts';
import {
  breakerJson,
  breakerParams,
  heldChangeJson,
  presentBreaker,
  presentHeldChange,
} from './breaker-json.ts';

export const listBreakers = endpoint({
  id: 'listBreakers',
  method: 'get',
  path: '/api/breakers',
  summary: 'Breakers: what the service may do by itself, and what they hold back',
  access: 'viewer',
  answers: { 200: { description: 'Every breaker', schema: pageOf(breakerJson) } },
  handle: async ({ response, deps }) => {
    const breakers = await readBreakers(deps.database, businessNow(deps));
    response.json({ items: breakers.map(presentBreaker), nextCursor: null });
  },
});

const cursors = cursorKind('held change', z.number().int().min(0));

export const listHeld = endpoint({
  id: 'listHeld',
  method: 'get',
  path: '/api/breakers/{name}/changes',
  summary: 'What waits for a breaker, the oldest first: the order in which it goes',
  access: 'viewer',
  params: breakerParams,
  query: z.object(pageQuery),
  answers: { 200: { description: 'A page of held changes', schema: pageOf(heldChangeJson) } },
  handle: async ({ params, query, response, deps: { database } }) => {
    const rows = await listHeldChanges(database, {
      breaker: params.name,
      after: cursors.read(query.cursor),
      limit: query.limit + 1,
    });
    const { page, nextCursor } = cursors.split(rows, query.limit, (last) => last.held_change_id);
    response.json({ items: page.map(presentHeldChange), nextCursor });
  },
});

const approval = z
  .strictObject(
    {
      count: z
        .int({ error: 'must be a whole number' })
        .min(1, 'must be at least 1')
        .max(1_000_000, 'must be at most 1000000')
        .optional()
        .meta({ description: 'How many of the oldest; default: all that waits' }),
    },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a JSON object' : undefined) },
  )
  .optional();

export const approve = endpoint({
  id: 'approve',
  method: 'post',
  path: '/api/breakers/{name}/approve',
  summary: 'Let what waits for a tripped breaker go, at the allowed rate',
  access: 'operator',
  params: breakerParams,
  body: approval,
  answers: {
    200: { description: 'The breaker now', schema: breakerJson },
    404: { description: 'There is no such breaker' },
    409: { description: 'It is not tripped' },
  },
  handle: async ({ params: { name }, body, request, response, deps }) => {
    const at = businessNow(deps);
    const wanted = { name, count: body?.count, actor: actorOf(request, response), at };
    await deps.database.transaction().execute((trx) => approveBreaker(trx, wanted));
    const breakers = await readBreakers(deps.database, at);
    response.json(presentBreaker(breakers.find((breaker) => breaker.name === name)!));
  },
});
