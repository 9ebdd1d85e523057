import express, { type ErrorRequestHandler, type RequestHandler, Router } from 'express';
import { z } from 'zod';
import { NotFoundError } from '../errors.ts';
import { actorOf } from '../http/actor.ts';
import { findAgentJson } from '../http/agents/present-agents.ts';
import type { Authentication } from '../http/authentication.ts';
import type { HttpDeps } from '../http/deps.ts';
import { read } from '../http/endpoint.ts';
import { logRefusal, toRefusal } from '../http/problem.ts';
import { findRequestable, type Requestable } from '../operations/registry.ts';
import { requestOperation } from '../operations/requests.ts';
import { retryLatest } from '../operations/retry-latest.ts';
import { showAgent } from './agent/agent-route.ts';
import { showAgents } from './agents/agents-route.ts';
import { addBulkRoutes } from './agents/bulk-routes.ts';
import { ASSETS } from './assets.ts';
import { addAttentionRoutes } from './attention-routes.ts';
import { addBuyerRoutes } from './buyer/buyer-routes.ts';
import { confirmPage } from './confirm-page.ts';
import { designPage } from './design/design-page.ts';
import { errorPage } from './error-page.ts';
import { addHoldRoutes } from './hold-routes.ts';
import { addOperationRoutes } from './operation/operation-routes.ts';
import { showOverview } from './overview/overview-route.ts';
import { needsInput } from './parts.ts';
import { addProposalRoutes } from './proposal-routes.ts';
import { addReferenceRoutes } from './reference/reference-routes.ts';
import { form, parseAgentId, refuseNamedPrograms, refusePrograms, sendPage } from './requests.ts';
import { createSignIn, isShownToOperator } from './sign-in.ts';
import { capitalized } from './words.ts';

/**
 * Routes every page: the operator's dashboard, the sign-in page, the buyer's progress page, and the API's
 * reference, which is rendered from its OpenAPI document.
 */
export function createDashboard(deps: HttpDeps, authentication: Authentication, document: unknown): Router {
  const router = Router();
  const signIn = createSignIn(deps, authentication);
  const operator = [signIn.redirectStrangers, authentication.requireOperator, refusePrograms];

  router.use(refuseNamedPrograms);

  router.use(
    '/assets',
    express.static(ASSETS, { index: false, redirect: false, maxAge: '1y', immutable: true }),
  );
  addReferenceRoutes(router, deps, document);
  addBuyerRoutes(router, deps);
  router.get('/sign-in', signIn.show);
  router.post('/sign-in', ...signIn.submit);
  router.post('/sign-out', authentication.requireSameOrigin, signIn.signOut);
  router.get('/', operator, showOverview(deps));
  router.get('/agents', operator, showAgents(deps));
  addBulkRoutes(router, deps, operator);
  addAttentionRoutes(router, deps, operator);
  addProposalRoutes(router, deps, [...operator, authentication.requirePerson]);
  router.get('/design', operator, showDesign(deps));
  router.get('/agents/:agentId', operator, showAgent(deps));
  addOperationRoutes(router, deps, operator);
  addHoldRoutes(router, deps, operator);
  router.get('/agents/:agentId/:kind', operator, confirm(deps));
  router.post('/agents/:agentId/retry', operator, form, retry(deps));
  router.post('/agents/:agentId/:kind', operator, form, ask(deps));
  router.use(showUnknown);
  router.use(showError(deps));
  return router;
}

function showDesign(deps: HttpDeps): RequestHandler {
  return (_request, response) => {
    sendPage(response, deps, { title: 'Design', main: designPage(), operator: true });
  };
}

function confirm(deps: HttpDeps): RequestHandler {
  return async (request, response) => {
    const operation = parseKind(request.params.kind);
    if (!needsInput(operation)) throw new NotFoundError('Page not found');
    const agent = await findAgentJson(deps.database, parseAgentId(request.params.agentId));
    const title = `${capitalized(operation.kind)} ${agent.agentId}?`;
    sendPage(response, deps, { title, main: confirmPage(agent, operation), operator: true });
  };
}

function ask({ database, queue }: HttpDeps): RequestHandler {
  return async (request, response) => {
    const agentId = parseAgentId(request.params.agentId);
    const { kind, parameters } = parseKind(request.params.kind);
    const wanted = {
      agentId,
      kind,
      actor: actorOf(request, response),
      ...(parameters && { parameters: read(parameters.strict(), request.body ?? {}, 'form') }),
    };
    await database.transaction().execute((trx) => requestOperation(trx, queue, wanted));
    response.redirect(303, `/agents/${agentId}`);
  };
}

const retrySchema = z.strictObject({ operationId: z.string().max(100) });

function retry({ database, queue }: HttpDeps): RequestHandler {
  return async (request, response) => {
    const agentId = parseAgentId(request.params.agentId);
    const { operationId } = read(retrySchema, request.body ?? {}, 'form')!;
    const wanted = { agentId, operationIds: [operationId], actor: actorOf(request, response) };
    await database.transaction().execute((trx) => retryLatest(trx, queue, wanted));
    response.redirect(303, `/agents/${agentId}`);
  };
}

/** @throws NotFoundError unless it is a kind of operation that can be requested */
function parseKind(kind: unknown): Requestable {
  const operation = typeof kind === 'string' ? findRequestable(kind) : undefined;
  if (operation === undefined) throw new NotFoundError('Page not found');
  return operation;
}

/** A browser that goes astray gets a page; programs get the API's problem. */
const showUnknown: RequestHandler = (request, _response, next) => {
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (!isRead || request.path.startsWith('/api/') || request.accepts(['json', 'html']) !== 'html')
    return next();
  throw new NotFoundError(`There is no page ${request.path.slice(0, 200)}`);
};

function showError(deps: HttpDeps): ErrorRequestHandler {
  return (error, request, response, next) => {
    if (response.headersSent) return next(error);
    const refusal = toRefusal(error);
    logRefusal(deps.log, request, refusal, error);
    response.status(refusal.status).set(refusal.headers);
    sendPage(response, deps, {
      ...errorPage(error, refusal),
      operator: isShownToOperator(response),
      isLive: false,
    });
  };
}
