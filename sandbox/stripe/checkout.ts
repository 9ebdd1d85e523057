import { setTimeout as pause } from 'node:timers/promises';
import express, { type ErrorRequestHandler, type Request, type RequestHandler, type Response } from 'express';
import helmet from 'helmet';
import type { SandboxDatabase } from '../database.ts';
import { completeSession } from './complete-session.ts';
import { listDeliveries } from './deliveries.ts';
import { toBaseUrl } from './endpoint.ts';
import { StripeError } from './errors.ts';
import { readWithHidden } from './objects.ts';
import { orderForm, orderSchema, toSessionParameters } from './order-form.ts';
import { html, orderSummary, STYLE, sendPage } from './pages.ts';
import { createSession, type SessionHidden } from './session-create.ts';
import { withUrl } from './sessions.ts';
import { transact } from './transact.ts';
import type { Session } from './wire.ts';

const LONGEST_WAIT_MS = 10_000;
const WAIT_POLL_MS = 50;

/**
 * Creates the pages that a buyer sees. Mount at `/checkout`. Orders placed with this form lead to `homeUrl`
 * after the payment.
 */
export function createCheckoutRouter({
  database,
  homeUrl,
}: {
  database: SandboxDatabase;
  homeUrl: string;
}): express.Router {
  const router = express.Router();
  router.use(helmet({ contentSecurityPolicy: false, strictTransportSecurity: false }), refuseOtherSites);
  router.use(express.urlencoded({ extended: false, limit: '16kb' }));
  router.get('/style.css', (_request, response) => {
    response.type('css').send(STYLE);
  });
  router.get('/', (_request, response) => {
    sendPage(response, { title: 'Order an agent', body: orderForm() });
  });
  router.post('/', (request, response) => placeOrder(database, homeUrl, request, response));
  router.get('/:id', async (request, response) => {
    showSession(response, await readSession(database, request.params.id));
  });
  router.post('/:id', (request, response) => pay(database, request, response));
  router.use(answerError);
  return router;
}

async function placeOrder(database: SandboxDatabase, homeUrl: string, request: Request, response: Response) {
  const order = orderSchema.safeParse(request.body ?? {});
  if (!order.success) {
    const [issue] = order.error.issues;
    const problem = `${issue?.path.join('.')}: ${issue?.message}`;
    response.status(400);
    if (wantsJson(request)) response.json({ error: problem });
    else sendPage(response, { title: 'Order an agent', body: orderForm(problem) });
    return;
  }
  const parameters = toSessionParameters(order.data, homeUrl);
  const session = await transact(database, [], (trx) => createSession(trx, parameters));
  if (wantsJson(request)) response.status(201).json(withUrl(session, toBaseUrl(request)));
  else response.redirect(303, `/checkout/${session.id}`);
}

async function pay(database: SandboxDatabase, request: Request, response: Response) {
  const id = String(request.params.id);
  if (request.body?.outcome === 'fail') {
    response.status(402);
    if (wantsJson(request)) response.json({ error: 'Your card was declined.' });
    else
      showSession(response, await readSession(database, id), 'Your card was declined. Nothing was bought.');
    return;
  }
  const paid = request.body?.outcome !== 'later';
  const { session, eventId } = await transact(database, [id], (trx) => completeSession(trx, id, { paid }));
  if (wantsJson(request)) {
    response.json(session);
    return;
  }
  if (eventId !== undefined) await awaitFirstTry(database, eventId);
  response.redirect(303, successUrl(session));
}

/** Waits for the webhook's first answer, as Stripe does, so that the next page knows about the order. */
async function awaitFirstTry(database: SandboxDatabase, eventId: string): Promise<void> {
  const deadline = Date.now() + LONGEST_WAIT_MS;
  while (Date.now() < deadline) {
    if ((await listDeliveries(database, { eventId, limit: 1 })).length > 0) return;
    await pause(WAIT_POLL_MS);
  }
}

interface SessionView {
  session: Session;
  /** Descriptions of the purchased items. */
  items: string[];
}

async function readSession(database: SandboxDatabase, id: string): Promise<SessionView> {
  const row = await readWithHidden<Session, SessionHidden>(database, 'checkout.session', id);
  return { session: row.body, items: row.hidden.lineItems.map((item) => item.description ?? 'Subscription') };
}

function showSession(response: Response, { session, items }: SessionView, problem?: string): void {
  const summary = orderSummary(session, items);
  if (session.status === 'complete') {
    const body = html`<p>This order is ${session.payment_status === 'paid' ? 'paid' : 'placed; its payment is pending'}.</p>${summary}<p><a href="${successUrl(session)}">Continue</a></p>`;
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

/** Other websites must not place orders here through a user's browser. */
export const refuseOtherSites: RequestHandler = (request, response, next) => {
  const readOnly = request.method === 'GET' || request.method === 'HEAD';
  if (readOnly || request.get('sec-fetch-site') !== 'cross-site') next();
  else response.status(403).json({ error: 'Refused: the request came from another site.' });
};

const answerError: ErrorRequestHandler = (error, request, response, next) => {
  if (response.headersSent || !(error instanceof StripeError)) return next(error);
  response.status(error.status);
  if (wantsJson(request)) response.json({ error: error.message });
  else sendPage(response, { title: 'Error', body: html`<p>${error.message}</p>` });
};
