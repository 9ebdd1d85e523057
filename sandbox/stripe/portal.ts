import express, { type Request, type Response } from 'express';
import type { SandboxDatabase } from '../database.ts';
import { toBaseUrl } from './endpoint.ts';
import { invalidRequest, StripeError } from './errors.ts';
import { readObject } from './objects.ts';
import { answerPageError, preparePages, sendPage } from './pages.ts';
import { doPortalAction, type PortalAction, portalActionSchema } from './portal-actions.ts';
import { portalPage } from './portal-page.ts';
import { createPortalSession, readPortalSession } from './portal-sessions.ts';
import { readPortalView } from './portal-view.ts';
import { toId } from './subscription-changes.ts';
import { transact } from './transact.ts';
import type { PortalSession, Session } from './wire.ts';

/** What the page says after an action. */
const DONE: Readonly<Record<PortalAction['action'], string>> = {
  'update-card': 'Your card is saved.',
  cancel: 'Your subscription will end with its period. Until then you can undo this.',
  keep: 'Your subscription continues.',
  'change-plan': 'Your plan is changed.',
  pay: 'Thank you. The invoice is paid.',
};

/** Creates the pages of the customer portal. Mount at `/portal`. */
export function createPortalRouter({ database }: { database: SandboxDatabase }): express.Router {
  const router = express.Router();
  preparePages(router);
  router.post('/', (request, response) => openPortal(database, request, response));
  router.get('/:id', async (request, response) => {
    const session = await readPortalSession(database, request.params.id);
    const action = portalActionSchema.options.find(({ shape }) => shape.action.value === request.query.done);
    await showPortal(database, response, session, action ? { done: DONE[action.shape.action.value] } : {});
  });
  router.post('/:id', (request, response) => act(database, request, response));
  router.use(answerPageError(PORTAL));
  return router;
}

const PORTAL = { standsIn: 'Stripe’s customer portal' };

/** Leads from a paid checkout to the portal of its customer. */
async function openPortal(database: SandboxDatabase, request: Request, response: Response): Promise<void> {
  const id = String(request.body?.session ?? '');
  const { customer } = await readObject<Session>(database, 'checkout.session', id);
  if (!customer) throw invalidRequest('This order has no customer yet.');
  const baseUrl = toBaseUrl(request);
  const { url } = await transact(database, [toId(customer)], (trx) =>
    createPortalSession(trx, toId(customer), baseUrl, `${baseUrl}/checkout/${id}`),
  );
  response.redirect(303, new URL(url).pathname);
}

async function act(database: SandboxDatabase, request: Request, response: Response): Promise<void> {
  const session = await readPortalSession(database, String(request.params.id));
  const wanted = portalActionSchema.safeParse(request.body ?? {});
  if (!wanted.success) throw invalidRequest('The portal does not know this action.');
  const refusal = await tryAction(database, session, wanted.data);
  if (refusal === undefined) {
    response.redirect(303, `/portal/${session.id}?done=${wanted.data.action}`);
    return;
  }
  response.status(refusal.status);
  await showPortal(database, response, session, { problem: refusal.message });
}

async function tryAction(
  database: SandboxDatabase,
  { customer }: PortalSession,
  wanted: PortalAction,
): Promise<StripeError | undefined> {
  try {
    return await transact(database, [customer], (trx) => doPortalAction(trx, customer, wanted));
  } catch (error) {
    if (error instanceof StripeError && error.status !== 404) return error;
    throw error;
  }
}

async function showPortal(
  database: SandboxDatabase,
  response: Response,
  session: PortalSession,
  result: { done?: string; problem?: string },
): Promise<void> {
  const body = portalPage(await readPortalView(database, session), result);
  sendPage(response, { title: 'Billing', body, ...PORTAL });
}
