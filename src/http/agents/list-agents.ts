import { z } from 'zod';
import { searchAgents } from '../../agents/search.ts';
import { AGENT_STATUSES } from '../../agents/states.ts';
import { listAgents as readAgents } from '../../agents/store.ts';
import { endpoint } from '../endpoint.ts';
import { cursorKind, pageOf, pageQuery } from '../paging.ts';
import { searchText } from '../search-text.ts';
import { agentJson } from './agent-json.ts';
import { presentAgents } from './present-agents.ts';

const cursors = cursorKind('agent', z.string().max(40));

export const listAgents = endpoint({
  id: 'listAgents',
  method: 'get',
  path: '/api/agents',
  summary: 'Agents, newest first',
  access: 'viewer',
  query: z.object({
    status: z.enum(AGENT_STATUSES, { error: `must be one of ${AGENT_STATUSES.join(', ')}` }).optional(),
    q: searchText.optional().meta({
      description: 'Only those with it in an id, user, address, server, subscription, region or plan',
    }),
    ...pageQuery,
  }),
  answers: { 200: { description: 'A page of agents', schema: pageOf(agentJson) } },
  handle: async ({ query, response, deps }) => {
    const agentId = cursors.read(query.cursor);
    const { q: text, status } = query;
    const limit = query.limit + 1;
    const cursor = agentId === undefined ? undefined : { agentId };
    const rows =
      text === undefined
        ? await readAgents(deps.database, { status, cursor, limit })
        : (await searchAgents(deps.database, { text, status }, { order: 'newest', after: agentId, limit }))
            .rows;
    const { page, nextCursor } = cursors.split(rows, query.limit, (last) => last.agent_id);
    response.json({ items: await presentAgents(deps.database, page), nextCursor });
  },
});
