import { setTimeout as pause } from 'node:timers/promises';
import express, { type ErrorRequestHandler, type Request, type RequestHandler, type Response } from 'express';
import helmet from 'helmet';
import type pg from 'pg';
import { inTransaction, poolBehind, type SandboxDatabase } from '../database.ts';
import { completeSession } from './complete-session.ts';
import { listDeliveries } from './deliveries.ts';
import { baseUrlOf } from './endpoint.ts';
import { StripeError } from './errors.ts';
import { readWithHidden } from './objects.ts';
import { orderForm, orderSchema, sessionFor } from './order-form.ts';
import { html, orderSummary, sendPage, style } from './pages.ts';
import { createSession, type SessionHidden } from './session-create.ts';
import { withUrl } from './sessions.ts';
import type { Session } from './wire.ts';

const longestWaitMs = 10_000;
const waitPollMs = 50;

/**
 * The pages a buyer sees; to be mounted at `/checkout`. `homeUrl` is where orders placed with the form here lead
 * after the payment.
 */
export function createCheckoutRouter({
  database,
  homeUrl,
}: {
  database: SandboxDatabase;
  homeUrl: string;
}): express.Router {
  const pool = poolBehind(database);
  const router = express.Router();
  router.use(helmet({ contentSecurityPolicy: false, strictTransportSecurity: false }), refuseOtherSites);
  router.use(express.urlencoded({ extended: false, limit: '16kb' }));
  router.get('/style.css', (_request, response) => {
    response.type('css').send(style);
  });
  router.get('/', (_request, response) => {
    sendPage(response, { title: 'Order an agent', body: orderForm() });
  });
  router.post('/', (request, response) => placeOrder(pool, homeUrl, request, response));
  router.get('/:id', async (request, response) => {
    showSession(response, await readSession(pool, request.params.id));
  });
  router.post('/:id', (request, response) => pay(pool, request, response));
  router.use(answerError);
  return router;
}

async function placeOrder(pool: pg.Pool, homeUrl: string, request: Request, response: Response) {
  const order = orderSchema.safeParse(request.body ?? {});
  if (!order.success) {
    const [issue] = order.error.issues;
    const problem = `${issue?.path.join('.')}: ${issue?.message}`;
    response.status(400);
    if (wantsJson(request)) response.json({ error: problem });
    else sendPage(response, { title: 'Order an agent', body: orderForm(problem) });
    return;
  }
  const session = await inTransaction(pool, (db) => createSession(db, sessionFor(order.data, homeUrl)));
  if (wantsJson(request)) response.status(201).json(withUrl(session, baseUrlOf(request)));
  else response.redirect(303, `/checkout/${session.id}`);
}

async function pay(pool: pg.Pool, request: Request, response: Response) {
  const id = String(request.params.id);
  if (request.body?.outcome === 'fail') {
    response.status(402);
    if (wantsJson(request)) response.json({ error: 'Your card was declined.' });
    else showSession(response, await readSession(pool, id), 'Your card was declined. Nothing was bought.');
    return;
  }
  const paid = request.body?.outcome !== 'later';
  const { session, eventId } = await inTransaction(pool, (db) => completeSession(db, id, { paid }));
  if (wantsJson(request)) {
    response.json(session);
    return;
  }
  if (eventId !== undefined) await awaitFirstTry(pool, eventId);
  response.redirect(303, successUrl(session));
}

/** As Stripe, lets the webhook answer before the buyer goes on, so that the next page knows of the order. */
async function awaitFirstTry(pool: pg.Pool, eventId: string): Promise<void> {
  const deadline = Date.now() + longestWaitMs;
  while (Date.now() < deadline) {
    if ((await listDeliveries(pool, { eventId, limit: 1 })).length > 0) return;
    await pause(waitPollMs);
  }
}

type SessionView = { session: Session; items: string[] };

async function readSession(pool: pg.Pool, id: string): Promise<SessionView> {
  const row = await readWithHidden<Session, SessionHidden>(pool, 'checkout.session', id);
  return { session: row.body, items: row.hidden.lineItems.map((item) => item.description ?? 'Subscription') };
}

function showSession(response: Response, { session, items }: SessionView, problem?: string): void {
  const summary = orderSummary(session, items);
  if (session.status === 'complete') {
    const body = html`<p>This order is ${session.payment_status === 'paid' ? 'paid' : 'placed; its payment is under way'}.</p>${summary}<p><a href="${successUrl(session)}">Go on</a></p>`;
    sendPage(response, { title: 'Thank you', body });
  } else if (session.status === 'expired') {
    sendPage(response, { title: 'Expired', body: html`<p>This order has expired.</p>${summary}` });
  } else {
    const body = html`${problem === undefined ? '' : html`<p class="problem" role="alert">${problem}</p>`}
${summary}
<form method="post" action="/checkout/${session.id}">
<button type="submit" name="outcome" value="pay">Pay (sandbox)</button>
<button type="submit" name="outcome" value="later">Pay by bank debit (settles later)</button>
<button type="submit" name="outcome" value="fail">Payment fails</button>
</form>`;
    sendPage(response, {
      title: 'Pay for your order',
      body,
      formTargets: [new URL(successUrl(session)).origin],
    });
  }
}

function successUrl(session: Session): string {
  return (session.success_url ?? '').replaceAll('{CHECKOUT_SESSION_ID}', session.id);
}

function wantsJson(request: Request): boolean {
  return request.accepts(['html', 'json']) === 'json';
}

/** A page elsewhere on the web must not place orders here by way of somebody's browser. */
export const refuseOtherSites: RequestHandler = (request, response, next) => {
  const readOnly = request.method === 'GET' || request.method === 'HEAD';
  if (readOnly || request.get('sec-fetch-site') !== 'cross-site') next();
  else response.status(403).json({ error: 'Refused: the request came from another site.' });
};

const answerError: ErrorRequestHandler = (error, request, response, next) => {
  if (response.headersSent || !(error instanceof StripeError)) return next(error);
  response.status(error.status);
  if (wantsJson(request)) response.json({ error: error.message });
  else sendPage(response, { title: 'Not possible', body: html`<p>${error.message}</p>` });
};
