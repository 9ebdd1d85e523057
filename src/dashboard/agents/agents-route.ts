import type { RequestHandler } from 'express';
import { z } from 'zod';
import { searchAgents } from '../../agents/search.ts';
import { presentAgents } from '../../http/agents/present-agents.ts';
import type { HttpDeps } from '../../http/deps.ts';
import { cursorKind } from '../../http/paging.ts';
import { roleOnPage } from '../guards.ts';
import { sendPage } from '../requests.ts';
import { sharedReads } from '../shared-reads.ts';
import { agentsPage } from './agents-page.ts';
import { type AgentsQuery, readAgentsQuery, toFilter } from './query.ts';

const AGENTS_PER_PAGE = 50;

/** The last agent of a page, in the order in which it was listed. */
const cursors = cursorKind('agents by order', z.tuple([z.string().max(10), z.string().max(40)]));

/** Answers `/agents`. Pages that show the same part of the list share what is read. */
export function showAgents(deps: HttpDeps): RequestHandler {
  const { checkoutUrl } = deps;
  const read = sharedReads((query: AgentsQuery) => readAgents(deps, query));
  return async (request, response) => {
    const query = readAgentsQuery(request.query);
    const role = roleOnPage(response);
    const main = agentsPage({ query, ...(await read(query)), checkoutUrl, role });
    sendPage(response, deps, { title: 'Agents', main, operator: true, place: 'agents', searches: true });
  };
}

async function readAgents({ database }: HttpDeps, query: AgentsQuery) {
  const position = cursors.read(query.cursor);
  // A cursor of another order says nothing about this one: it begins at the first page.
  const after = position?.[0] === query.order ? position[1] : undefined;
  const page = { order: query.order, after, limit: AGENTS_PER_PAGE + 1 };
  const { rows, total } = await searchAgents(database, toFilter(query), page);
  const split = cursors.split(rows, AGENTS_PER_PAGE, (last) => [query.order, last.agent_id]);
  return { agents: await presentAgents(database, split.page), total, nextCursor: split.nextCursor };
}
