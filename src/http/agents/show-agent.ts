import { getAgent } from '../../agents/store.ts';
import { endpoint } from '../endpoint.ts';
import { agentJson, agentParams, presentAgent } from './agent-json.ts';

export const showAgent = endpoint({
  method: 'get',
  path: '/api/agents/{agentId}',
  summary: 'One agent',
  access: 'operator',
  params: agentParams,
  answers: { 200: { description: 'The agent', schema: agentJson } },
  handle: async ({ params, response, deps }) => {
    response.json(presentAgent(await getAgent(deps.database, params.agentId)));
  },
});
