import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { RequestHandler, Router } from 'express';
import { z } from 'zod';
import { findAskers } from '../../audit/listing.ts';
import { NotFoundError } from '../../errors.ts';
import { actorOf } from '../../http/actor.ts';
import type { HttpDeps } from '../../http/deps.ts';
import { presentOperations } from '../../http/operations/present-operations.ts';
import { searchText } from '../../http/search-text.ts';
import { cancelOperation } from '../../operations/cancel.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { readCourse } from '../../operations/events/course.ts';
import { readEvents } from '../../operations/events/events.ts';
import { LOG_LEVELS } from '../../operations/events/log-levels.ts';
import { type LogPosition, readLogWindow, searchLog } from '../../operations/events/log-page.ts';
import { toTextLine } from '../../operations/events/text-line.ts';
import { getOperation } from '../../operations/requests.ts';
import { type Guards, roleOnPage } from '../guards.ts';
import { form, sendPage } from '../requests.ts';
import { capitalized } from '../words.ts';
import { cancelPage } from './cancel-page.ts';
import { operationPage } from './operation-page.ts';
import type { Timeline } from './timeline.ts';

const LINES_PER_PAGE = 500;
const FOUND_SHOWN = 300;
const DOWNLOAD_BATCH = 1_000;

const line = z.coerce.number().int().min(0).max(2_147_483_647).optional().catch(undefined);
/** What is unknown or malformed counts as not given. */
const querySchema = z.object({
  q: searchText.catch(''),
  level: z.enum(LOG_LEVELS).catch('info'),
  line,
  before: line,
  after: line,
});

/** Routes the page of one operation and the file of its log. */
export function addOperationRoutes(router: Router, deps: HttpDeps, { least }: Guards): void {
  router.get('/operations/:operationId', least('viewer'), showOperation(deps));
  router.get('/operations/:operationId/log.txt', least('viewer'), download(deps));
  router.get('/operations/:operationId/cancel', least('operator'), confirmCancel(deps));
  router.post('/operations/:operationId/cancel', least('operator'), form, cancel(deps));
}

function confirmCancel(deps: HttpDeps): RequestHandler {
  return async (request, response) => {
    const row = await findOperation(deps, request.params.operationId);
    const [operation] = await presentOperations(deps.database, [row]);
    const main = cancelPage(operation!);
    sendPage(response, deps, { title: `Cancel the ${row.kind}?`, main, operator: true });
  };
}

function cancel(deps: HttpDeps): RequestHandler {
  const { database, queue } = deps;
  return async (request, response) => {
    const { operation_id: operationId } = await findOperation(deps, request.params.operationId);
    const wanted = { operationId, actor: actorOf(request, response) };
    await database.transaction().execute((trx) => cancelOperation(trx, queue, wanted));
    response.redirect(303, `/operations/${operationId}`);
  };
}

function showOperation(deps: HttpDeps): RequestHandler {
  const { database } = deps;
  return async (request, response) => {
    const row = await findOperation(deps, request.params.operationId);
    const { operation_id: operationId } = row;
    const { q: text, level, ...places } = querySchema.parse(request.query);
    const isSearch = text !== '' || level !== 'info';
    const found = isSearch ? await searchLog(database, operationId, { text, level }, FOUND_SHOWN) : [];
    const position = toPosition(places);
    const { events, last } = await readLogWindow(database, {
      operationId,
      position,
      limit: isSearch ? 1 : LINES_PER_PAGE,
    });
    const isEnd = (events.at(-1)?.sequence ?? 0) === last;
    const main = operationPage({
      timeline: await readTimeline(deps, row),
      search: isSearch
        ? { text, level, found: found.slice(0, FOUND_SHOWN), isCut: found.length > FOUND_SHOWN }
        : undefined,
      log: {
        operationId,
        events,
        keep: position.at === 'end' || position.at === 'before' ? 'last' : 'first',
        here: position.at === 'line' ? position.line : undefined,
        follows: isEnd && position.at === 'end' ? last : undefined,
      },
      last,
      role: roleOnPage(response),
    });
    const title = `${capitalized(row.kind)} of ${row.agent_id}`;
    sendPage(response, deps, { title, main, operator: true, place: 'agents', searches: true });
  };
}

/** Reads what the timeline of an operation shows. */
export async function readTimeline(
  { database }: Pick<HttpDeps, 'database'>,
  row: OperationRow,
): Promise<Timeline> {
  const { agent_id: agentId, operation_id: operationId } = row;
  const [[operation], course, askers] = await Promise.all([
    presentOperations(database, [row]),
    readCourse(database, row),
    findAskers(database, agentId, [operationId]),
  ]);
  return { operation: operation!, course, asker: askers.get(operationId) };
}

type Places = { [name in 'line' | 'before' | 'after']?: number | undefined };

function toPosition({ line: wanted, before, after }: Places): LogPosition {
  if (wanted !== undefined) return { at: 'line', line: wanted };
  if (before !== undefined) return { at: 'before', line: before };
  return after === undefined ? { at: 'end' } : { at: 'after', line: after };
}

/** @throws NotFoundError */
async function findOperation({ database }: HttpDeps, id: unknown): Promise<OperationRow> {
  const operationId = z.guid().safeParse(id);
  if (!operationId.success) throw new NotFoundError('Operation not found');
  return getOperation(database, operationId.data);
}

/** Sends the log without loading it as a whole: each event as one line that no terminal interprets. */
function download(deps: HttpDeps): RequestHandler {
  return async (request, response) => {
    const operation = await findOperation(deps, request.params.operationId);
    const { operation_id: operationId, kind, agent_id: agentId } = operation;
    response.type('text/plain; charset=utf-8').attachment(`${agentId}-${kind}-${operationId}.log.txt`);
    await pipeline(Readable.from(readText(deps, operationId)), response).catch(ignoreLeaving);
  };
}

/** A client that leaves half-way is no error of ours. */
function ignoreLeaving(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
}

async function* readText({ database }: HttpDeps, operationId: string): AsyncGenerator<string> {
  for (let after = 0; ; ) {
    const events = await readEvents(database, operationId, after, DOWNLOAD_BATCH);
    if (events.length > 0) yield events.map(toTextLine).join('');
    if (events.length < DOWNLOAD_BATCH) return;
    after = events.at(-1)!.sequence;
  }
}
