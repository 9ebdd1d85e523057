import express, { type RequestHandler, type Router } from 'express';
import { z } from 'zod';
import { agentIdSchema } from '../../agents/new-agent.ts';
import { readAgentRows } from '../../agents/search.ts';
import { ConflictError, InvalidInputError, NotFoundError } from '../../errors.ts';
import { presentAgents } from '../../http/agents/present-agents.ts';
import type { HttpDeps } from '../../http/deps.ts';
import { requestOperation } from '../../operations/requests.ts';
import { findRetryable, retryLatest } from '../../operations/retry-latest.ts';
import { sendPage } from '../requests.ts';
import { bulkKinds, bulkPage, bulkResultPage, nothingChosen, RETRY, sortOut } from './bulk.ts';

/** As many as a page of the list has. */
const MOST_AGENTS = 100;
const ACTOR = 'operator';

const many = z
  .preprocess(
    (value) => (Array.isArray(value) || value === undefined ? (value ?? []) : [value]),
    z.array(agentIdSchema).max(MOST_AGENTS),
  )
  .transform((ids) => [...new Set(ids)]);
/** The operations that a retry concerns, as the confirmation has named them. */
const operations = z.preprocess(
  (value) => (Array.isArray(value) || value === undefined ? (value ?? []) : [value]),
  z.array(z.string().max(100)).max(MOST_AGENTS),
);
const choiceSchema = z.object({ kind: z.string().max(40).optional(), agentId: many });
const confirmedSchema = z.object({
  kind: z.string().max(40),
  agentId: many,
  operationId: operations,
  count: z.coerce.number(),
});

/** Routes the confirmation of what is to be done to several agents, and its form. */
export function addBulkRoutes(router: Router, deps: HttpDeps, operator: RequestHandler[]): void {
  const form = express.urlencoded({ extended: false, limit: '32kb' });
  router.get('/bulk', operator, showChoice(deps));
  router.post('/bulk', operator, form, apply(deps));
}

function showChoice(deps: HttpDeps): RequestHandler {
  const { database } = deps;
  return async (request, response) => {
    const { kind = '', agentId: agentIds } = parse(choiceSchema, request.query);
    if (kind !== '' && !bulkKinds().includes(kind)) throw new NotFoundError('Page not found');
    const agents = await presentAgents(database, await readAgentRows(database, agentIds));
    const retryable = await findRetryable(database, kind === RETRY ? agentIds : []);
    sendPage(response, deps, {
      title: 'Several agents',
      main: kind === '' ? nothingChosen() : bulkPage(sortOut(kind, agents, retryable)),
      operator: true,
      place: 'agents',
    });
  };
}

/** Requests the operation for one agent after the other: what one refuses keeps no other from it. */
function apply(deps: HttpDeps): RequestHandler {
  const { database, queue } = deps;
  return async (request, response) => {
    const {
      kind,
      agentId: agentIds,
      operationId: operationIds,
      count,
    } = parse(confirmedSchema, request.body ?? {});
    if (!bulkKinds().includes(kind)) throw new NotFoundError('Page not found');
    if (count !== agentIds.length)
      throw new InvalidInputError(
        `This concerns ${agentIds.length} agents; you confirmed ${count}. Nothing was done.`,
      );
    const requested: string[] = [];
    const refused: { agentId: string; why: string }[] = [];
    for (const agentId of agentIds) {
      const wanted = { agentId, kind, operationIds, actor: ACTOR };
      try {
        await database
          .transaction()
          .execute((trx) =>
            kind === RETRY ? retryLatest(trx, queue, wanted) : requestOperation(trx, queue, wanted),
          );
        requested.push(agentId);
      } catch (error) {
        if (!(error instanceof ConflictError || error instanceof NotFoundError)) throw error;
        refused.push({ agentId, why: error.message });
      }
    }
    sendPage(response, deps, {
      title: 'Several agents',
      main: bulkResultPage({ kind, requested, refused }),
      operator: true,
      place: 'agents',
    });
  };
}

/** @throws InvalidInputError */
function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    throw new InvalidInputError(`At most ${MOST_AGENTS} agents by their ids, one operation and its count`);
  return parsed.data;
}
