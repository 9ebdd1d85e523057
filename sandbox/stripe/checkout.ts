import { setTimeout as pause } from 'node:timers/promises';
import express, { type Request, type Response } from 'express';
import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import { completeSession } from './complete-session.ts';
import { listDeliveries } from './delivery-tries.ts';
import { toBaseUrl } from './endpoint.ts';
import { readWithHidden } from './objects.ts';
import { orderForm, orderSchema, toSessionParameters } from './order-form.ts';
import { answerPageError, html, orderSummary, preparePages, STYLE, sendPage, wantsJson } from './pages.ts';
import { createSession, type SessionHidden } from './session-create.ts';
import { withUrl } from './sessions.ts';
import { findCardByNumber, type TestCard, WORKING_CARD } from './test-cards.ts';
import { transact } from './transact.ts';
import type { Session } from './wire.ts';

const LONGEST_WAIT_MS = 10_000;
const WAIT_POLL_MS = 50;

/**
 * Creates the pages that a buyer sees. Mount at `/checkout`. Orders placed with this form lead to the buyer's
 * page of the service at `homeUrl` after the payment, as a shop's `success_url` would.
 */
export function createCheckoutRouter({
  database,
  homeUrl,
}: {
  database: SandboxDatabase;
  homeUrl: string;
}): express.Router {
  const router = express.Router();
  preparePages(router);
  router.get('/style.css', (_request, response) => {
    response.type('css').send(STYLE);
  });
  router.get('/', (_request, response) => {
    sendPage(response, { title: 'Order an agent', body: html`${orderForm()}${homeLink(homeUrl)}` });
  });
  router.post('/', (request, response) => placeOrder(database, homeUrl, request, response));
  router.get('/:id', async (request, response) => {
    showSession(response, await readSession(database, request.params.id), { homeUrl });
  });
  router.post('/:id', (request, response) => pay(database, homeUrl, request, response));
  router.use(answerPageError());
  return router;
}

async function placeOrder(database: SandboxDatabase, homeUrl: string, request: Request, response: Response) {
  const order = orderSchema.safeParse(request.body ?? {});
  if (!order.success) {
    const [issue] = order.error.issues;
    const problem = `${issue?.path.join('.')}: ${issue?.message}`;
    response.status(400);
    if (wantsJson(request)) response.json({ error: problem });
    else
      sendPage(response, {
        title: 'Order an agent',
        body: html`${orderForm(problem)}${homeLink(homeUrl)}`,
      });
    return;
  }
  const parameters = toSessionParameters(order.data, `${homeUrl}status?session={CHECKOUT_SESSION_ID}`);
  const session = await transact(database, [], (trx) => createSession(trx, parameters));
  if (wantsJson(request)) response.status(201).json(withUrl(session, toBaseUrl(request)));
  else response.redirect(303, `/checkout/${session.id}`);
}

async function pay(database: SandboxDatabase, homeUrl: string, request: Request, response: Response) {
  const id = String(request.params.id);
  const { card, refusal } = readCard(request.body ?? {});
  if (refusal !== undefined) {
    response.status(402);
    if (wantsJson(request)) response.json({ error: refusal });
    else {
      const problem = `${refusal} Nothing was bought.`;
      showSession(response, await readSession(database, id), { homeUrl, problem });
    }
    return;
  }
  const paid = request.body?.outcome !== 'later';
  const complete = (trx: SandboxTransaction) => completeSession(trx, id, { paid, card });
  const { session, eventId } = await transact(database, [id], complete);
  if (wantsJson(request)) {
    response.json(session);
    return;
  }
  if (eventId !== undefined) await awaitFirstTry(database, eventId);
  response.redirect(303, successUrl(session));
}

/** Returns the test card of the form, and why it refuses. A form without one is paid by a card that works. */
function readCard({ outcome, card: number }: Record<string, unknown>): { card: TestCard; refusal?: string } {
  const card = typeof number === 'string' && number !== '' ? findCardByNumber(number) : WORKING_CARD;
  if (card === undefined) return { card: WORKING_CARD, refusal: 'Your card number is incorrect.' };
  if (card.refusesAttach) return { card, refusal: card.decline?.message ?? 'Your card was declined.' };
  return outcome === 'fail' ? { card, refusal: 'Your card was declined.' } : { card };
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

/** Leads from the sandbox's shop to the service's dashboard. */
const homeLink = (homeUrl: string) => html`<p><a href="${homeUrl}">Back to the dashboard</a></p>`;

function showSession(
  response: Response,
  { session, items }: SessionView,
  { homeUrl, problem }: { homeUrl: string; problem?: string },
): void {
  const summary = orderSummary(session, items);
  if (session.status === 'complete') {
    const body = html`<p>This order is ${session.payment_status === 'paid' ? 'paid' : 'placed; its payment is pending'}.</p>${summary}<p><a href="${successUrl(session)}">To your agent’s page</a></p>${portalForm(session)}${homeLink(homeUrl)}`;
    sendPage(response, { title: 'Thank you', body });
  } else if (session.status === 'expired') {
    const again = html`<p><a href="/checkout">Order again</a></p>`;
    const body = html`<p>This order has expired.</p>${summary}${again}${homeLink(homeUrl)}`;
    sendPage(response, { title: 'Expired', body });
  } else {
    const body = html`${problem === undefined ? '' : html`<p class="problem" role="alert">${problem}</p>`}
${summary}
<form method="post" action="/checkout/${session.id}">
<label for="card">Test card</label>
<select id="card" name="card">${CARD_CHOICES.map(([number, label]) => html`<option value="${number}">${label}</option>`)}</select>
<button type="submit" name="outcome" value="pay">Pay (sandbox)</button>
<button type="submit" name="outcome" value="later">Pay by bank debit (settles later)</button>
<button type="submit" name="outcome" value="fail">Payment fails</button>
</form>
<p><a href="/checkout">Change the order</a></p>${homeLink(homeUrl)}`;
    sendPage(response, {
      title: 'Pay for your order',
      body,
      formTargets: [new URL(successUrl(session)).origin],
    });
  }
}

/** The way to card, invoices and cancellation, which a real shop offers in the customer's account. */
function portalForm({ id, mode }: Session) {
  if (mode !== 'subscription') return '';
  return html`<form method="post" action="/portal"><button type="submit" name="session" value="${id}">Manage billing</button></form>`;
}

const CARD_CHOICES: readonly [string, string][] = [
  ['4242424242424242', '4242 4242 4242 4242: pays'],
  ['4000000000000341', '4000 0000 0000 0341: pays now, fails later'],
  ['4000000000000259', '4000 0000 0000 0259: pays, then is disputed'],
  ['4000000000009995', '4000 0000 0000 9995: has insufficient funds'],
];

function successUrl(session: Session): string {
  return (session.success_url ?? '').replaceAll('{CHECKOUT_SESSION_ID}', session.id);
}
