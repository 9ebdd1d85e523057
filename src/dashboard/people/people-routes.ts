import type { Request, RequestHandler, Response, Router } from 'express';
import { z } from 'zod';
import { NotFoundError } from '../../errors.ts';
import { actorOf, principalOf } from '../../http/actor.ts';
import type { HttpDeps } from '../../http/deps.ts';
import { read } from '../../http/endpoint.ts';
import { roleSchema } from '../../http/people/people-json.ts';
import { scopeOf } from '../../http/people/scope.ts';
import { newTokenFields } from '../../http/people/tokens.ts';
import { loginSchema, personNameSchema } from '../../people/names.ts';
import { addPerson, changeRole, listPeople, removePerson } from '../../people/people.ts';
import { endSession, listSessions } from '../../people/session-list.ts';
import { createToken, listTokens, revokeToken } from '../../people/tokens.ts';
import type { Guards } from '../guards.ts';
import { form, sendPage } from '../requests.ts';
import { peoplePage, removePage } from './people-page.ts';
import { createdPage } from './tokens-section.ts';

const TOKENS_SHOWN = 200;

/** What a form sends for a field that was left empty. */
const unlessEmpty = (value: unknown) => (value === '' ? undefined : value);

const newPerson = z.strictObject({
  name: personNameSchema,
  role: roleSchema,
  login: z.preprocess(unlessEmpty, loginSchema.optional()),
});
const newRole = z.strictObject({ role: roleSchema });
const newToken = z.strictObject({
  ...newTokenFields,
  days: z.preprocess((value) => (value === undefined ? value : Number(value)), newTokenFields.days),
});

/** Routes the page of people, tokens and sessions, and its forms. */
export function addPeopleRoutes(router: Router, deps: HttpDeps, { least }: Guards): void {
  router.get('/people', least('viewer'), show(deps));
  router.post('/people', least('admin'), form, add(deps));
  router.post('/people/tokens', least('admin'), form, makeToken(deps));
  router.post('/people/tokens/:tokenId/revoke', least('viewer'), form, revoke(deps));
  router.post('/people/sessions/:sessionId/end', least('viewer'), form, end(deps));
  router.get('/people/:name/remove', least('admin'), (request: Request, response: Response) => {
    const name = parseName(request);
    sendPage(response, deps, { title: `Remove ${name}?`, main: removePage(name), operator: true });
  });
  router.post('/people/:name/remove', least('admin'), form, change(deps, removePerson));
  router.post(
    '/people/:name/role',
    least('admin'),
    form,
    change(deps, (trx, wanted, body) => changeRole(trx, { ...wanted, ...read(newRole, body, 'form')! })),
  );
}

function show(deps: HttpDeps): RequestHandler {
  const { database } = deps;
  return async (_request, response) => {
    const sender = principalOf(response);
    const isOwn = sender.role !== 'admin';
    // A token of the environment has neither tokens nor sessions of its own.
    const isNobody = isOwn && sender.personId === undefined;
    const personId = isOwn ? sender.personId : undefined;
    const [people, tokens, sessions] = await Promise.all([
      isOwn ? undefined : listPeople(database),
      isNobody ? [] : listTokens(database, { personId, limit: TOKENS_SHOWN }),
      isNobody ? [] : listSessions(database, { personId }),
    ]);
    const main = peoplePage({ sender, people, tokens, sessions });
    sendPage(response, deps, { title: isOwn ? 'You' : 'People', main, operator: true });
  };
}

function add({ database }: HttpDeps): RequestHandler {
  return async (request, response) => {
    const wanted = { ...read(newPerson, request.body ?? {}, 'form')!, actor: actorOf(request, response) };
    await database.transaction().execute((trx) => addPerson(trx, wanted));
    response.redirect(303, '/people');
  };
}

type Run = (
  trx: Parameters<typeof removePerson>[0],
  wanted: Parameters<typeof removePerson>[1],
  body: unknown,
) => Promise<unknown>;

function change({ database }: HttpDeps, run: Run): RequestHandler {
  return async (request, response) => {
    const { personId: actorId } = principalOf(response);
    const wanted = { name: parseName(request), actor: actorOf(request, response), actorId };
    await database.transaction().execute((trx) => run(trx, wanted, request.body ?? {}));
    response.redirect(303, '/people');
  };
}

function makeToken(deps: HttpDeps): RequestHandler {
  return async (request, response) => {
    const wanted = { ...read(newToken, request.body ?? {}, 'form')!, actor: actorOf(request, response) };
    const made = await deps.database.transaction().execute((trx) => createToken(trx, wanted));
    const main = createdPage(made.row, made.token.reveal());
    sendPage(response, deps, { title: 'The token', main, operator: true });
  };
}

function revoke({ database }: HttpDeps): RequestHandler {
  return async (request, response) => {
    const wanted = { tokenId: parseId(request.params.tokenId), ...ownOf(request, response) };
    await database.transaction().execute((trx) => revokeToken(trx, wanted));
    response.redirect(303, '/people');
  };
}

function end({ database }: HttpDeps): RequestHandler {
  return async (request, response) => {
    const wanted = { sessionId: parseId(request.params.sessionId), ...ownOf(request, response) };
    await database.transaction().execute((trx) => endSession(trx, wanted));
    response.redirect(303, '/people');
  };
}

const ownOf = (request: Request, response: Response) => ({
  personId: scopeOf(response),
  actor: actorOf(request, response),
});

/** @throws NotFoundError for a text that is no id */
function parseId(text: unknown): string {
  const parsed = z.guid().safeParse(text);
  if (!parsed.success) throw new NotFoundError('Page not found');
  return parsed.data;
}

/** @throws NotFoundError for a text that is no name */
function parseName(request: Request): string {
  const parsed = personNameSchema.safeParse(request.params.name);
  if (!parsed.success) throw new NotFoundError('Page not found');
  return parsed.data;
}
