import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { agentIdSchema, newAgent, planSchema, regionSchema, userIdSchema } from '../../agents/new-agent.ts';
import { refuseWhileLost } from '../../database/recovering.ts';
import { requestAgent } from '../../operations/first-provision.ts';
import { actorOf } from '../actor.ts';
import { endpoint, read } from '../endpoint.ts';
import { acceptedAnswer, answerAccepted } from '../operations/accepted.ts';
import { idempotencyKeySchema, once } from './idempotency.ts';

const body = z
  .strictObject(
    {
      agentId: agentIdSchema.optional(),
      userId: userIdSchema,
      region: regionSchema,
      plan: planSchema.optional(),
    },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a JSON object' : undefined) },
  )
  .meta({ id: 'NewAgent' });

const headers = z.object({ 'idempotency-key': idempotencyKeySchema.optional() });

export const createAgent = endpoint({
  id: 'createAgent',
  method: 'post',
  path: '/api/agents',
  summary: 'Create an agent without an order',
  access: 'operator',
  headers,
  body,
  answers: {
    202: acceptedAnswer,
    409: { description: 'The id belongs to an agent, possibly a destroyed one' },
    422: { description: 'The Idempotency-Key was used with another body' },
  },
  handle: async ({ body: wanted, request, response, deps }) => {
    const { database, queue } = deps;
    const key = read(headers, request.headers, 'header')?.['idempotency-key'];
    await refuseWhileLost(database);
    const operation = await database.transaction().execute((trx) =>
      once(trx, { key, request: wanted }, () =>
        requestAgent(trx, queue, {
          agent: newAgent({ ...wanted, agentId: wanted.agentId ?? randomUUID() }),
          actor: actorOf(request, response),
        }),
      ),
    );
    await answerAccepted(response, database, operation);
  },
});
