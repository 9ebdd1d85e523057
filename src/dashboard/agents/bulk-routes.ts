import express, { type Request, type RequestHandler, type Response, type Router } from 'express';
import { z } from 'zod';
import { agentIdSchema } from '../../agents/new-agent.ts';
import { readAgentRows } from '../../agents/search.ts';
import { ConflictError, InvalidInputError, NotFoundError } from '../../errors.ts';
import { actorOf, refuseForbidden } from '../../http/actor.ts';
import { presentAgents } from '../../http/agents/present-agents.ts';
import type { HttpDeps } from '../../http/deps.ts';
import type { Log } from '../../log.ts';
import { requestOperation } from '../../operations/requests.ts';
import { findRetryable, retryLatest } from '../../operations/retry-latest.ts';
import type { Guards } from '../guards.ts';
import { sendPage } from '../requests.ts';
import {
  type BulkResult,
  bulkKinds,
  bulkPage,
  bulkResultPage,
  leastRoleOf,
  nothingChosen,
  RETRY,
  sortOut,
} from './bulk.ts';

/** As many as a page of the list has. */
const MOST_AGENTS = 100;
/** The error's own text may hold what only the log should. */
const BROKEN =
  'It broke off with an error, which the log has. Look at the agent: it may have been requested.';

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
export function addBulkRoutes(router: Router, deps: HttpDeps, { least }: Guards): void {
  const form = express.urlencoded({ extended: false, limit: '32kb' });
  router.get('/bulk', least('support'), showChoice(deps));
  router.post('/bulk', least('support'), form, apply(deps));
}

/**
 * @throws NotFoundError, HttpError 403 if the role does not allow it. No kind at all: nothing is chosen yet.
 */
function refuseKind(request: Request, response: Response, kind: string): void {
  if (kind === '') return;
  if (!bulkKinds('admin').includes(kind)) throw new NotFoundError('Page not found');
  refuseForbidden(request, response, { least: leastRoleOf(kind) });
}

function showChoice(deps: HttpDeps): RequestHandler {
  const { database } = deps;
  return async (request, response) => {
    const { kind = '', agentId: agentIds } = parse(choiceSchema, request.query);
    refuseKind(request, response, kind);
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

function apply(deps: HttpDeps): RequestHandler {
  const { database, queue } = deps;
  return async (request, response) => {
    const {
      kind,
      agentId: agentIds,
      operationId: operationIds,
      count,
    } = parse(confirmedSchema, request.body ?? {});
    if (kind === '') throw new NotFoundError('Page not found');
    refuseKind(request, response, kind);
    if (count !== agentIds.length)
      throw new InvalidInputError(
        `This concerns ${agentIds.length} agents; you confirmed ${count}. Nothing was done.`,
      );
    const actor = actorOf(request, response);
    const result = await requestEach(agentIds, deps.log, (agentId) =>
      database.transaction().execute((trx) => {
        const wanted = { agentId, kind, operationIds, actor };
        return kind === RETRY ? retryLatest(trx, queue, wanted) : requestOperation(trx, queue, wanted);
      }),
    );
    if (result.untried.length > 0) response.status(500);
    sendPage(response, deps, {
      title: 'Several agents',
      main: bulkResultPage({ kind, ...result }),
      operator: true,
      place: 'agents',
    });
  };
}

/**
 * Requests the operation for one agent after the other: what one refuses keeps no other from it. After any
 * other error the rest is not tried, because the database may be away; the page still says what was done.
 */
async function requestEach(
  agentIds: readonly string[],
  log: Log,
  request: (agentId: string) => Promise<unknown>,
): Promise<Omit<BulkResult, 'kind'>> {
  const requested: string[] = [];
  const refused: { agentId: string; why: string }[] = [];
  for (const [index, agentId] of agentIds.entries()) {
    try {
      await request(agentId);
      requested.push(agentId);
    } catch (error) {
      const isRefusal = error instanceof ConflictError || error instanceof NotFoundError;
      refused.push({ agentId, why: isRefusal ? error.message : BROKEN });
      if (isRefusal) continue;
      log.error({ event: 'bulk.broken', agentId, err: error }, 'an action on several agents broke off');
      return { requested, refused, untried: agentIds.slice(index + 1) };
    }
  }
  return { requested, refused, untried: [] };
}

/** @throws InvalidInputError */
function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    throw new InvalidInputError(`At most ${MOST_AGENTS} agents by their ids, one operation and its count`);
  return parsed.data;
}
