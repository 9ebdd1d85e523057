import { z } from 'zod';
import { getAgent } from '../../agents/store.ts';
import { listOperations as readOperations } from '../../operations/listing.ts';
import { endpoint } from '../endpoint.ts';
import { operationJson } from '../operations/operation-json.ts';
import { presentOperations } from '../operations/present-operations.ts';
import { cursorKind, pageOf, pageQuery } from '../paging.ts';
import { agentParams } from './agent-json.ts';

const cursors = cursorKind('operation', z.int().min(0));

export const listOperations = endpoint({
  id: 'listOperations',
  method: 'get',
  path: '/api/agents/{agentId}/operations',
  summary: 'The operations of an agent, newest first',
  access: 'viewer',
  params: agentParams,
  query: z.object(pageQuery),
  answers: { 200: { description: 'A page of operations', schema: pageOf(operationJson) } },
  handle: async ({ params, query, response, deps: { database } }) => {
    const before = cursors.read(query.cursor);
    await getAgent(database, params.agentId);
    const rows = await readOperations(database, {
      agentId: params.agentId,
      before,
      limit: query.limit + 1,
    });
    const { page, nextCursor } = cursors.split(rows, query.limit, (last) => last.sequence);
    response.json({ items: await presentOperations(database, page), nextCursor });
  },
});
