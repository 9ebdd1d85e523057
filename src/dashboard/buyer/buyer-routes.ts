import { createHash } from 'node:crypto';
import type { ErrorRequestHandler, RequestHandler, Response, Router } from 'express';
import { z } from 'zod';
import { findOrder } from '../../billing/orders.ts';
import { findPayPage } from '../../billing/pay-page.ts';
import { NotFoundError } from '../../errors.ts';
import { findAgentJson } from '../../http/agents/present-agents.ts';
import type { HttpDeps } from '../../http/deps.ts';
import { type BuyerPage, NO_BUYER_PAGE } from '../../http/deps.ts';
import { presentOperations } from '../../http/operations/present-operations.ts';
import { logRefusal, toRefusal } from '../../http/problem.ts';
import { createExpectedSeconds, type ExpectedSeconds } from '../../operations/expected.ts';
import { findLatest } from '../../operations/listing.ts';
import type { Page } from '../layout.ts';
import { parseAgentId, sendPage } from '../requests.ts';
import { isPaymentMissing } from './billing-banner.ts';
import {
  attendedPage,
  awayPage,
  type BuyerView,
  buyerPage,
  isOnItsWay,
  refusedPage,
  reloadAfter,
  waitingPage,
} from './buyer-page.ts';
import { createStatusLinks } from './status-links.ts';

/**
 * Stripe's ids of checkout sessions. They cannot be guessed, so one of them opens its agent's page for a
 * while. They are no secrets to Stripe, to the shop and to the browser's history, so later only a signed link
 * does.
 */
const sessionId = z.string().regex(/^cs_[A-Za-z0-9_]{24,250}$/);
const SESSION_OPENS_MS = 14 * 24 * 3600 * 1000;
const CONFIRMATION_SECONDS = 3;
const ATTENDED_SECONDS = 30;
const BRAND_SECONDS = 300;

interface BuyerDeps extends HttpDeps {
  /** How long it took others. */
  expect(agent: { agentId: string; plan: string }): Promise<ExpectedSeconds | undefined>;
}

/** Routes the buyer's page, by its signed link or by the id of a checkout session, and what it looks like. */
export function addBuyerRoutes(router: Router, deps: HttpDeps): void {
  router.get('/brand/style.css', (_request, response) => {
    response.set('cache-control', `public, max-age=${BRAND_SECONDS}`);
    response.type('css').send(brandStyle(deps.buyerPage ?? NO_BUYER_PAGE));
  });
  router.get('/brand/logo', sendLogo(deps));
  const buyers = { ...deps, expect: createExpectedSeconds(deps.database) };
  router.get('/status', showSession(buyers));
  router.get('/status/:agentId', showStatus(buyers));
  router.use('/status', showAway(deps));
}

/** What an operator's page says about an error is not for buyers. */
function showAway(deps: HttpDeps): ErrorRequestHandler {
  const brand = deps.buyerPage ?? NO_BUYER_PAGE;
  return (error, request, response, _next) => {
    const refusal = toRefusal(error);
    logRefusal(deps.log, request, refusal, error);
    response.set(refusal.headers);
    if (refusal.status < 500) return refuse(response, deps);
    response.status(refusal.status);
    send(response, deps, { main: awayPage(brand), reloadSeconds: CONFIRMATION_SECONDS });
  };
}

function showStatus(deps: BuyerDeps): RequestHandler {
  const links = createStatusLinks(deps);
  return async (request, response) => {
    const { token } = request.query;
    const agentId = parseAgentId(request.params.agentId);
    if (typeof token !== 'string' || !links.isValid(agentId, token)) return refuse(response, deps);
    await sendAgent(response, deps, agentId);
  };
}

/** Checkout's `success_url` leads here, often before Stripe's event has arrived. */
function showSession(deps: BuyerDeps): RequestHandler {
  const brand = deps.buyerPage ?? NO_BUYER_PAGE;
  return async (request, response) => {
    const session = sessionId.safeParse(request.query.session);
    if (!session.success) return refuse(response, deps);
    const order = await findOrder(deps.database, session.data);
    if (order === undefined)
      return send(response, deps, { main: waitingPage(brand), reloadSeconds: CONFIRMATION_SECONDS });
    if (Date.now() - order.created_at.getTime() > SESSION_OPENS_MS) return refuse(response, deps);
    if (order.agent_id === null)
      return send(response, deps, { main: attendedPage(brand), reloadSeconds: ATTENDED_SECONDS });
    await sendAgent(response, deps, order.agent_id);
  };
}

async function sendAgent(response: Response, deps: BuyerDeps, agentId: string): Promise<void> {
  const view = await readView(deps, agentId);
  const main = buyerPage(view, deps.buyerPage ?? NO_BUYER_PAGE);
  send(response, deps, { main, reloadSeconds: reloadAfter(view.agent) });
}

async function readView({ database, expect }: BuyerDeps, agentId: string): Promise<BuyerView> {
  const agent = await findAgentJson(database, agentId);
  const [row, expected, payPage] = await Promise.all([
    findLatest(database, { agentId, kind: 'provision' }),
    isOnItsWay(agent) ? expect(agent) : undefined,
    isPaymentMissing(agent) ? findPayPage(database, agentId) : undefined,
  ]);
  const [provision] = await presentOperations(database, row === undefined ? [] : [row]);
  const orderedAt = Date.parse(provision?.createdAt ?? agent.createdAt);
  return { agent, provision, expected, payPage, elapsed: (Date.now() - orderedAt) / 1000 };
}

function refuse(response: Response, deps: HttpDeps): void {
  response.status(403);
  send(response, deps, { main: refusedPage(deps.buyerPage ?? NO_BUYER_PAGE) });
}

function send(response: Response, deps: HttpDeps, page: Pick<Page, 'main' | 'reloadSeconds'>): void {
  const brand = deps.buyerPage ?? NO_BUYER_PAGE;
  // The URL grants access, so it must not leak to other sites.
  response.set({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' });
  allowFrames(response, brand);
  const site = brand.name ?? 'Agent stacks';
  const style = brandStyle(brand) === '' ? undefined : `/brand/style.css?v=${hashOf(brandStyle(brand))}`;
  sendPage(response, deps, { title: 'Your agent', ...page, brand: { site, style } });
}

/** The operator's own sites may embed the page, and its logo may be elsewhere. */
function allowFrames(response: Response, { origins, logo }: BuyerPage): void {
  const policy = String(response.getHeader('content-security-policy'));
  const ancestors = origins.length === 0 ? "'none'" : origins.join(' ');
  const images = logo !== undefined && 'url' in logo ? ` ${new URL(logo.url).origin}` : '';
  response.set(
    'content-security-policy',
    policy
      .replace(/frame-ancestors [^;]*/, `frame-ancestors ${ancestors}`)
      .replace(/img-src [^;]*/, (source) => source + images),
  );
  // Older browsers know only this header, which cannot name origins.
  if (origins.length > 0) response.removeHeader('x-frame-options');
}

/** The operator's colours replace the tokens for links, buttons and progress. */
function brandStyle({ colours: { light, dark } }: BuyerPage): string {
  const rule = (colour: string) => `:root{--link:${colour};--good:${colour}}`;
  return [
    light === undefined ? '' : `@media (prefers-color-scheme:light){${rule(light)}}`,
    dark === undefined ? '' : `@media (prefers-color-scheme:dark){${rule(dark)}}`,
  ].join('');
}

const hashOf = (text: string) => createHash('sha256').update(text).digest('base64url').slice(0, 12);

function sendLogo({ buyerPage: brand }: HttpDeps): RequestHandler {
  return (_request, response) => {
    const logo = brand?.logo;
    if (logo === undefined || 'url' in logo) throw new NotFoundError('Page not found');
    response.set('cache-control', `public, max-age=${BRAND_SECONDS}`);
    response.type(logo.type).send(logo.content);
  };
}
