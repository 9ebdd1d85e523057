import { z } from 'zod';
import { listOrders as readOrders } from '../billing/orders.ts';
import { endpoint } from './endpoint.ts';
import { orderJson, toOrderJson } from './order-json.ts';
import { cursorKind, pageOf, pageQuery } from './paging.ts';

const cursors = cursorKind('order', z.string().max(255));

export const listOrders = endpoint({
  id: 'listOrders',
  method: 'get',
  path: '/api/orders',
  summary: 'Orders from Stripe, newest first; each with its agent, or the reason why it has none',
  access: 'viewer',
  query: z.object({
    attention: z.stringbool({ error: 'must be true or false' }).optional(),
    ...pageQuery,
  }),
  answers: { 200: { description: 'A page of orders', schema: pageOf(orderJson) } },
  handle: async ({ query, response, deps: { database } }) => {
    const sessionId = cursors.read(query.cursor);
    const rows = await readOrders(database, {
      attention: query.attention,
      cursor: sessionId === undefined ? undefined : { sessionId },
      limit: query.limit + 1,
    });
    const { page, nextCursor } = cursors.split(rows, query.limit, (last) => last.session_id);
    response.json({ items: page.map(toOrderJson), nextCursor });
  },
});
