import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { agentIdSchema, newAgent, planSchema, regionSchema, userIdSchema } from '../../agents/new-agent.ts';
import { holdSession, settleOrder } from '../../billing/settle-order.ts';
import { refuseWhileLost } from '../../database/recovering.ts';
import { requestAgent } from '../../operations/first-provision.ts';
import { actorOf } from '../actor.ts';
import { endpoint, read } from '../endpoint.ts';
import { findSession, sessionIdSchema } from '../link-order.ts';
import { acceptedAnswer, answerAccepted } from '../operations/accepted.ts';
import { idempotencyKeySchema, once } from './idempotency.ts';

const body = z
  .strictObject(
    {
      agentId: agentIdSchema.optional(),
      userId: userIdSchema,
      region: regionSchema,
      plan: planSchema.optional(),
      order: sessionIdSchema.optional().meta({
        description: 'The checkout session of an order without an agent, which this agent is for',
      }),
    },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a JSON object' : undefined) },
  )
  .meta({ id: 'NewAgent' });

const headers = z.object({ 'idempotency-key': idempotencyKeySchema.optional() });

export const createAgent = endpoint({
  id: 'createAgent',
  method: 'post',
  path: '/api/agents',
  summary: 'Create an agent by hand: without an order, or for one that has no agent',
  access: 'operator',
  headers,
  body,
  answers: {
    202: acceptedAnswer,
    404: { description: 'There is no such order' },
    409: { description: 'The id belongs to an agent, possibly a destroyed one; or the order has an agent' },
    422: { description: 'The Idempotency-Key was used with another body' },
  },
  handle: async ({ body: wanted, request, response, deps }) => {
    const { database, queue } = deps;
    const key = read(headers, request.headers, 'header')?.['idempotency-key'];
    await refuseWhileLost(database);
    const { order: sessionId, ...fields } = wanted;
    const found = sessionId === undefined ? undefined : await findSession(deps, sessionId);
    const actor = actorOf(request, response);
    const operation = await database.transaction().execute((trx) =>
      once(trx, { key, request: wanted }, async () => {
        if (sessionId !== undefined) await holdSession(trx, sessionId);
        const agent = newAgent({ ...fields, agentId: fields.agentId ?? randomUUID() });
        const requested = await requestAgent(trx, queue, { agent, actor });
        if (sessionId !== undefined)
          await settleOrder(trx, { sessionId, agentId: agent.agentId, actor, found });
        return requested;
      }),
    );
    await answerAccepted(response, database, operation);
  },
});
