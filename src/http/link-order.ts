import { z } from 'zod';
import { agentIdSchema } from '../agents/new-agent.ts';
import { findOrder, getOrder } from '../billing/orders.ts';
import { type FoundSession, settleOrder } from '../billing/settle-order.ts';
import { actorOf } from './actor.ts';
import type { HttpDeps } from './deps.ts';
import { endpoint } from './endpoint.ts';
import { orderJson, toOrderJson } from './order-json.ts';

export const sessionIdSchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, 'must be the id of a checkout session')
  .meta({ example: 'cs_live_a1b2c3' });

/** Only what can be one of Stripe's becomes part of an address there. */
const CHECKOUT_SESSION = /^cs_\w+$/;

const body = z
  .strictObject(
    { agentId: agentIdSchema },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a JSON object' : undefined) },
  )
  .meta({ id: 'OrderLink' });

export const linkOrder = endpoint({
  id: 'linkOrder',
  method: 'post',
  path: '/api/orders/{sessionId}/link',
  summary: 'Give an order without an agent one that exists: its subscription is followed for that agent',
  access: 'operator',
  params: z.object({ sessionId: sessionIdSchema }),
  body,
  answers: {
    200: { description: 'The order with its agent', schema: orderJson },
    409: { description: 'The order has another agent, or is not to be had for this one' },
  },
  handle: async ({ params: { sessionId }, body: { agentId }, request, response, deps }) => {
    const { database } = deps;
    const found = await findSession(deps, sessionId);
    const actor = actorOf(request, response);
    await database.transaction().execute((trx) => settleOrder(trx, { sessionId, agentId, actor, found }));
    response.json(toOrderJson(await getOrder(database, sessionId)));
  },
});

/** Asks Stripe about a session whose order this database does not have: a former one may have had it. */
export async function findSession(
  { database, findSession: find }: Pick<HttpDeps, 'database' | 'findSession'>,
  sessionId: string,
): Promise<FoundSession | undefined> {
  if (find === undefined || !CHECKOUT_SESSION.test(sessionId)) return undefined;
  if ((await findOrder(database, sessionId)) !== undefined) return undefined;
  return find(sessionId);
}
