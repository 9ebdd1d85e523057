import express, { type ErrorRequestHandler, type RequestHandler, Router } from 'express';
import { z } from 'zod';
import { listSnapshots } from '../agents/snapshots.ts';
import { NotFoundError } from '../errors.ts';
import { actorOf, refuseForbidden } from '../http/actor.ts';
import { findAgentJson } from '../http/agents/present-agents.ts';
import type { Authentication } from '../http/authentication.ts';
import type { HttpDeps } from '../http/deps.ts';
import { read } from '../http/endpoint.ts';
import { logRefusal, toRefusal } from '../http/problem.ts';
import { findRequestable, leastRoleFor, type Requestable } from '../operations/registry.ts';
import { requestOperation } from '../operations/requests.ts';
import { retryLatest } from '../operations/retry-latest.ts';
import { addAbandonRoutes } from './abandon-routes.ts';
import { showAgent } from './agent/agent-route.ts';
import { showAgents } from './agents/agents-route.ts';
import { addBulkRoutes } from './agents/bulk-routes.ts';
import { ASSETS } from './assets.ts';
import { addAttentionRoutes } from './attention-routes.ts';
import { addBuyerRoutes } from './buyer/buyer-routes.ts';
import { confirmPage } from './confirm-page.ts';
import { designPage } from './design/design-page.ts';
import { showDoctor } from './doctor-page.ts';
import { errorPage } from './error-page.ts';
import { createGuards } from './guards.ts';
import { addHoldRoutes } from './hold-routes.ts';
import { addOperationRoutes } from './operation/operation-routes.ts';
import { showOverview } from './overview/overview-route.ts';
import { needsInput } from './parts.ts';
import { addPeopleRoutes } from './people/people-routes.ts';
import { addProposalRoutes } from './proposal-routes.ts';
import { addReferenceRoutes } from './reference/reference-routes.ts';
import { form, parseAgentId, refuseNamedPrograms, sendPage } from './requests.ts';
import { addSignInRoutes, redirectStrangers } from './sign-in/sign-in.ts';
import { capitalized } from './words.ts';

/** Routes what buyers see: the progress page of their agent. */
export function createBuyerPages(deps: HttpDeps): Router {
  const router = Router();
  router.use(refuseNamedPrograms);
  addAssets(router);
  addBuyerRoutes(router, deps);
  router.use(showError(deps));
  return router;
}

/**
 * Routes the pages of people who operate agents: the dashboard, the sign-in page, and the API's reference,
 * which is rendered from its OpenAPI document. `more`: pages on the same listener.
 */
export function createDashboard(
  deps: HttpDeps,
  authentication: Authentication,
  document: unknown,
  more: readonly Router[] = [],
): Router {
  const router = Router();
  const guards = createGuards(authentication, redirectStrangers(authentication));
  const reads = guards.least('viewer');

  router.use(refuseNamedPrograms);

  addAssets(router);
  addReferenceRoutes(router, deps, document);
  for (const pages of more) router.use(pages);
  addSignInRoutes(router, deps, authentication);
  router.get('/', reads, showOverview(deps));
  router.get('/agents', reads, showAgents(deps));
  addBulkRoutes(router, deps, guards);
  addAttentionRoutes(router, deps, guards);
  addProposalRoutes(router, deps, guards);
  router.get('/doctor', reads, showDoctor(deps));
  router.get('/design', reads, showDesign(deps));
  router.get('/agents/:agentId', reads, showAgent(deps));
  addOperationRoutes(router, deps, guards);
  addPeopleRoutes(router, deps, guards);
  addHoldRoutes(router, deps, guards);
  addAbandonRoutes(router, deps, guards);
  router.get('/agents/:agentId/:kind', reads, confirm(deps));
  router.post('/agents/:agentId/retry', guards.least('operator'), form, retry(deps));
  router.post('/agents/:agentId/:kind', guards.least('support'), form, ask(deps));
  router.use(showUnknown);
  router.use(showError(deps));
  return router;
}

function addAssets(router: Router): void {
  router.use(
    '/assets',
    express.static(ASSETS, { index: false, redirect: false, maxAge: '1y', immutable: true }),
  );
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
    refuseForbidden(request, response, { least: leastRoleFor(operation) });
    const agent = await findAgentJson(deps.database, parseAgentId(request.params.agentId));
    const title = `${capitalized(operation.kind)} ${agent.agentId}?`;
    const snapshots =
      operation.needsSnapshot === true ? await listSnapshots(deps.database, agent.agentId) : [];
    const complete = snapshots.filter(({ status }) => status === 'available');
    sendPage(response, deps, { title, main: confirmPage(agent, operation, complete), operator: true });
  };
}

function ask({ database, queue }: HttpDeps): RequestHandler {
  return async (request, response) => {
    const agentId = parseAgentId(request.params.agentId);
    const operation = parseKind(request.params.kind);
    refuseForbidden(request, response, { least: leastRoleFor(operation) });
    const { kind, parameters } = operation;
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
      operator: response.locals.principal !== undefined,
      isLive: false,
    });
  };
}
