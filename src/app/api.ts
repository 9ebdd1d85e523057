import express, { type Express } from 'express';
import helmet from 'helmet';
import { createBuyerPages, createDashboard } from '../dashboard/router.ts';
import { abandonAdoption } from '../http/agents/abandon-adoption.ts';
import { adoptServer } from '../http/agents/adopt-server.ts';
import { changeAgent } from '../http/agents/change-agent.ts';
import { placeHold, releaseHold } from '../http/agents/change-holds.ts';
import { createAgent } from '../http/agents/create-agent.ts';
import { listAgents } from '../http/agents/list-agents.ts';
import { listOperations } from '../http/agents/list-operations.ts';
import { operationRequests } from '../http/agents/request-operation.ts';
import { showAgent } from '../http/agents/show-agent.ts';
import { showLedger } from '../http/agents/show-ledger.ts';
import { showReceipt } from '../http/agents/show-receipt.ts';
import { drillSnapshot, showDrills } from '../http/agents/snapshot-drills.ts';
import { removeSnapshot, showSnapshots } from '../http/agents/snapshots.ts';
import { listAudit, verifyAudit } from '../http/audit.ts';
import { type Authentication, createAuthentication } from '../http/authentication.ts';
import { createBackup, showBackups } from '../http/backups.ts';
import { listCanaries, startCanary } from '../http/canary.ts';
import { type HttpDeps, operatorUrlOf } from '../http/deps.ts';
import { mount } from '../http/endpoint.ts';
import { feed } from '../http/events.ts';
import { showFigures } from '../http/figures.ts';
import { liveness, readiness } from '../http/health.ts';
import { guardHost } from '../http/host-guard.ts';
import { showIdentity } from '../http/identity.ts';
import { buildImage, removeImages, showImages } from '../http/images.ts';
import { listAttention } from '../http/limits/attention.ts';
import { approve, listBreakers, listHeld } from '../http/limits/breakers.ts';
import { linkOrder } from '../http/link-order.ts';
import { metrics } from '../http/metrics/metrics.ts';
import { listNotices } from '../http/notices.ts';
import { describe } from '../http/openapi.ts';
import { cancelOperation } from '../http/operations/cancel-operation.ts';
import { operationEvents } from '../http/operations/operation-events.ts';
import { retryOperation } from '../http/operations/retry-operation.ts';
import { showOperation } from '../http/operations/show-operation.ts';
import { listOrders } from '../http/orders.ts';
import { addPerson, changePerson, listPeople, removePerson } from '../http/people/people.ts';
import { endSession, listSessions } from '../http/people/sessions.ts';
import { createToken, listTokens, revokeToken } from '../http/people/tokens.ts';
import { removeSlot, showPool } from '../http/pool.ts';
import { notFound, problemHandler } from '../http/problem.ts';
import { drainProject, listProjects, undrainProject } from '../http/projects.ts';
import { createProposal, listProposals } from '../http/proposals.ts';
import { acceptStateRoute, rebuildStateRoute } from '../http/rebuild-state.ts';
import { showRekey } from '../http/rekey.ts';
import { claimRoute } from '../http/runner/claim.ts';
import { recordRoute } from '../http/runner/record.ts';
import { measured } from '../http/webhook-metrics.ts';
import { receiveGithubCallback } from '../http/webhooks/github.ts';
import { receiveStripeEvent } from '../http/webhooks/stripe.ts';
import { createSharedFeed } from '../operations/events/shared-feed.ts';

export type { HttpDeps } from '../http/deps.ts';

const OPEN_ROUTES = [liveness, readiness];

/** Routes for machines: their senders sign the body instead of using the operator's token. */
const SIGNED_ROUTES = [
  '/api/webhooks/stripe',
  '/api/webhooks/github',
  '/api/runner/claim',
  '/api/runner/record',
];

const OPERATOR_ROUTES = [
  listAgents,
  createAgent,
  showAgent,
  changeAgent,
  adoptServer,
  abandonAdoption,
  ...operationRequests,
  placeHold,
  releaseHold,
  listOperations,
  showOperation,
  cancelOperation,
  retryOperation,
  operationEvents,
  listOrders,
  linkOrder,
  showReceipt,
  showSnapshots,
  removeSnapshot,
  drillSnapshot,
  showDrills,
  showLedger,
  showPool,
  removeSlot,
  showImages,
  listProjects,
  drainProject,
  undrainProject,
  showRekey,
  buildImage,
  removeImages,
  rebuildStateRoute,
  acceptStateRoute,
  showBackups,
  createBackup,
  listNotices,
  listAttention,
  listBreakers,
  listHeld,
  approve,
  listProposals,
  createProposal,
  showIdentity,
  listPeople,
  addPerson,
  changePerson,
  removePerson,
  listTokens,
  createToken,
  revokeToken,
  listSessions,
  endSession,
  showFigures,
  listAudit,
  verifyAudit,
  listCanaries,
  startCanary,
  feed,
  metrics,
];

const described = describe([...OPEN_ROUTES, ...OPERATOR_ROUTES]);

/** The OpenAPI document of everything that programs may call. */
export const { document: API_DOCUMENT } = described;

/**
 * Creates the app of an installation with one listener. Express tries the routes in the order of their
 * mounting.
 */
export function createApp(given: HttpDeps): Express {
  const deps = withFeed(given);
  const app = openApp(deps, deps.publicUrl);
  const authentication = createAuthentication(deps);
  mountSigned(app, deps);
  mountOperator(app, deps, authentication);
  app.use(createDashboard(deps, authentication, API_DOCUMENT, [createBuyerPages(deps)]));
  return closed(app, deps);
}

/** Creates the app for the outside where dashboard and API are elsewhere: webhooks, health, buyers' pages. */
export function createPublicApp(deps: HttpDeps): Express {
  const app = openApp(deps, deps.publicUrl);
  mountSigned(app, deps);
  // What is wrong is for operators.
  app.get('/readyz', (request, response, next) =>
    'verbose' in request.query ? notFound(request, response, next) : next(),
  );
  mount(app, OPEN_ROUTES, deps);
  app.use(createBuyerPages(deps));
  return closed(app, deps);
}

/** Creates the app of dashboard and API on a listener of their own. */
export function createOperatorApp(given: HttpDeps): Express {
  const deps = withFeed(given);
  const publicUrl = operatorUrlOf(deps);
  const app = openApp(deps, publicUrl);
  const authentication = createAuthentication({ ...deps, publicUrl });
  mountOperator(app, deps, authentication);
  app.use(createDashboard(deps, authentication, API_DOCUMENT));
  return closed(app, deps);
}

/** All streams of one process share what is read for them. */
function withFeed(deps: HttpDeps): HttpDeps {
  deps.feed ??= createSharedFeed(deps);
  return deps;
}

/** `url`: how browsers reach this listener. */
function openApp(deps: HttpDeps, url: string): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('trust proxy', deps.trustedProxies ?? false);
  app.use(securityHeaders(url));
  if (deps.mode === 'sandbox') app.use(guardHost(url));
  return app;
}

function closed(app: Express, { log }: HttpDeps): Express {
  app.use(notFound);
  app.use(problemHandler(log));
  return app;
}

function mountSigned(app: Express, deps: HttpDeps): void {
  for (const route of SIGNED_ROUTES) app.use(route, measured(route));
  app.post('/api/webhooks/stripe', ...receiveStripeEvent(deps));
  app.post('/api/webhooks/github', receiveGithubCallback(deps));
  app.post('/api/runner/claim', claimRoute(deps));
  app.post('/api/runner/record', recordRoute(deps));
  app.all(SIGNED_ROUTES, (_request, response) => {
    response.status(405).set('allow', 'POST').json({ error: 'Only POST is allowed' });
  });
}

function mountOperator(app: Express, deps: HttpDeps, authentication: Authentication): void {
  app.get('/readyz', (request, response, next) =>
    'verbose' in request.query ? authentication.requirePrincipal(request, response, next) : next(),
  );
  mount(app, [...OPEN_ROUTES, described.route], deps);
  app.use(['/api', '/metrics'], authentication.requirePrincipal);
  mount(app, OPERATOR_ROUTES, deps);
}

/** Pages load only this service's own style sheet, script and events. No other site can frame them. */
function securityHeaders(url: string) {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'", 'data:'],
        connectSrc: ["'self'"],
        formAction: ["'self'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    // With `no-referrer`, browsers would also hide the origin of this site's own forms.
    referrerPolicy: { policy: 'same-origin' },
    strictTransportSecurity: url.startsWith('https:'),
  });
}
