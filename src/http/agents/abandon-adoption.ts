import { requestAbandonment } from '../../operations/abandon-adoption.ts';
import { actorOf } from '../actor.ts';
import { endpoint } from '../endpoint.ts';
import { acceptedAnswer, answerAccepted } from '../operations/accepted.ts';
import { agentJson, agentParams } from './agent-json.ts';
import { findAgentJson } from './present-agents.ts';

/** For admins, as the adoption itself. */
export const abandonAdoption = endpoint({
  id: 'abandonAdoption',
  method: 'post',
  path: '/api/agents/{agentId}/abandon',
  summary:
    'Give up what could not be undone on a server that is given back: the agent’s keys and device are removed all the same',
  access: 'admin',
  params: agentParams,
  answers: {
    200: { description: 'An attempt is under way; the next one does it', schema: agentJson },
    202: acceptedAnswer,
    409: { description: 'Nothing of the agent is being given back' },
  },
  handle: async ({ params: { agentId }, request, response, deps }) => {
    const { database, queue } = deps;
    const asked = { agentId, actor: actorOf(request, response) };
    const operation = await database.transaction().execute((trx) => requestAbandonment(trx, queue, asked));
    if (operation === undefined) response.json(await findAgentJson(database, agentId));
    else await answerAccepted(response, database, operation);
  },
});
