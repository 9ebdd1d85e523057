import { z } from 'zod';
import { planSchema } from '../../agents/new-agent.ts';
import { requestOperation } from '../../operations/requests.ts';
import { endpoint } from '../endpoint.ts';
import { acceptedAnswer, answerAccepted } from '../operations/accepted.ts';
import { agentParams } from './agent-json.ts';

const body = z
  .strictObject(
    { plan: planSchema },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a JSON object' : undefined) },
  )
  .meta({ id: 'Resize' });

export const resizeAgent = endpoint({
  method: 'post',
  path: '/api/agents/{agentId}/resize',
  summary: 'Ask for another plan: the server becomes one of that plan, its disk stays',
  access: 'operator',
  params: agentParams,
  body,
  answers: {
    202: acceptedAnswer,
    409: {
      description:
        'The agent’s state does not allow it, it has that plan, or something of the kind is under way',
    },
  },
  handle: async ({ params, body: parameters, response, deps: { database, queue } }) => {
    const wanted = { agentId: params.agentId, kind: 'resize', actor: 'operator', parameters } as const;
    const operation = await database.transaction().execute((trx) => requestOperation(trx, queue, wanted));
    await answerAccepted(response, database, operation);
  },
});
