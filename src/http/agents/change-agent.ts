import { z } from 'zod';
import { setProtection } from '../../operations/hold-requests.ts';
import { actorOf } from '../actor.ts';
import { endpoint } from '../endpoint.ts';
import { agentJson, agentParams } from './agent-json.ts';
import { findAgentJson } from './present-agents.ts';

const body = z
  .strictObject(
    { protected: z.boolean({ error: 'must be true or false' }) },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a JSON object' : undefined) },
  )
  .meta({ id: 'AgentChange' });

export const changeAgent = endpoint({
  id: 'changeAgent',
  method: 'patch',
  path: '/api/agents/{agentId}',
  summary: 'Protect an agent from being destroyed, or lift its protection',
  access: 'operator',
  params: agentParams,
  body,
  answers: {
    200: { description: 'The agent', schema: agentJson },
    409: { description: 'The agent is being destroyed' },
  },
  handle: async ({ params: { agentId }, body: wanted, request, response, deps: { database } }) => {
    const actor = actorOf(request, response);
    await database
      .transaction()
      .execute((trx) => setProtection(trx, { agentId, isProtected: wanted.protected, actor }));
    response.json(await findAgentJson(database, agentId));
  },
});
