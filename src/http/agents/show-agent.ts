import { endpoint } from '../endpoint.ts';
import { agentJson, agentParams } from './agent-json.ts';
import { findAgentJson } from './present-agents.ts';

export const showAgent = endpoint({
  id: 'showAgent',
  method: 'get',
  path: '/api/agents/{agentId}',
  summary: 'One agent',
  access: 'viewer',
  params: agentParams,
  answers: { 200: { description: 'The agent', schema: agentJson } },
  handle: async ({ params, response, deps }) => {
    response.json(await findAgentJson(deps.database, params.agentId));
  },
});
