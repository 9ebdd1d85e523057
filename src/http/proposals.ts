import { z } from 'zod';
import '../runbooks/all.ts';
import { agentIdSchema } from '../agents/new-agent.ts';
import { proposableKinds, propose, listProposals as readProposals } from '../operations/proposals.ts';
import { actorOf } from './actor.ts';
import { endpoint } from './endpoint.ts';
import { cursorKind, pageOf, pageQuery } from './paging.ts';
import { presentProposal, proposalJson } from './proposal-json.ts';

const cursors = cursorKind('proposal', z.int().min(0));

export const listProposals = endpoint({
  id: 'listProposals',
  method: 'get',
  path: '/api/proposals',
  summary: 'What programs proposed, newest first; decided ones for 30 days',
  access: 'viewer',
  query: z.object(pageQuery),
  answers: { 200: { description: 'A page of proposals', schema: pageOf(proposalJson) } },
  handle: async ({ query, response, deps: { database } }) => {
    const before = cursors.read(query.cursor);
    const rows = await readProposals(database, { before, limit: query.limit + 1 });
    const { page, nextCursor } = cursors.split(rows, query.limit, (last) => last.sequence);
    response.json({ items: page.map(presentProposal), nextCursor });
  },
});

const kinds = proposableKinds();
const body = z
  .strictObject(
    {
      agentId: agentIdSchema,
      kind: z.enum(kinds, { error: `must be one of ${kinds.join(', ')}` }),
      reason: z
        .string({ error: 'must be a text that says why' })
        .trim()
        .min(1, 'must say why')
        .max(1000, 'must have at most 1000 characters'),
    },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a JSON object' : undefined) },
  )
  .meta({ id: 'NewProposal' });

export const createProposal = endpoint({
  id: 'createProposal',
  method: 'post',
  path: '/api/proposals',
  summary: 'Propose what loses data or takes an agent from its customer; a person decides on the page',
  access: 'operator',
  isForPrograms: true,
  body,
  answers: {
    201: { description: 'The proposal; it expires after 24 hours', schema: proposalJson },
    404: { description: 'There is no such agent' },
    409: { description: 'It is not possible now, is proposed already, or too many proposals are open' },
  },
  handle: async ({ body: wanted, request, response, deps: { database } }) => {
    const actor = actorOf(request, response);
    const row = await database.transaction().execute((trx) => propose(trx, { ...wanted, actor }));
    response.status(201).json(presentProposal(row));
  },
});
