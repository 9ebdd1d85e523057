import express from 'express';
import { z } from 'zod';
import type { SandboxDatabase } from '../database.ts';
import { letChargesFail } from './charges.ts';
import { refuseOtherSites } from './checkout.ts';
import { listDeliveries } from './deliveries.ts';
import { dunningSchema, readDunning, saveDunning } from './dunning.ts';
import { answerError, invalidRequest } from './errors.ts';
import { readEvent, scheduleDelivery } from './events.ts';
import { failNextInvoice, payInvoice } from './invoices.ts';
import { listObjects } from './objects.ts';
import { parseParameters } from './parse-parameters.ts';
import { settleSession } from './settle-session.ts';
import { transact } from './transact.ts';
import type { Invoice } from './wire.ts';

const subscriptionSchema = z.object({ subscriptionId: z.string().min(1) });

const chargesSchema = z.object({ customerId: z.string().min(1), fail: z.boolean() });

const settlementSchema = z.object({ sessionId: z.string().min(1), succeeds: z.boolean() });

const deliveriesSchema = z.object({
  eventId: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});

/** Creates controls for actions of Stripe's dashboard and CLI. Mount at `/sandbox/stripe`. */
export function createStripeControlsRouter({ database }: { database: SandboxDatabase }): express.Router {
  const router = express.Router();
  router.use(refuseOtherSites, express.json({ limit: '16kb' }));
  router.get('/deliveries', async (request, response) => {
    const { eventId, limit } = parseParameters(deliveriesSchema, request.query);
    response.json({ deliveries: await listDeliveries(database, { eventId, limit }) });
  });
  router.post('/events/:id/resend', async (request, response) => {
    const event = await readEvent(database, request.params.id);
    await scheduleDelivery(database, event.id, true);
    response.status(202).json(event);
  });
  router.post('/invoices/fail', async (request, response) => {
    const { subscriptionId } = parseParameters(subscriptionSchema, request.body ?? {});
    response.json(await transact(database, [subscriptionId], (trx) => failNextInvoice(trx, subscriptionId)));
  });
  router.post('/invoices/pay', async (request, response) => {
    const { subscriptionId } = parseParameters(subscriptionSchema, request.body ?? {});
    const invoice = await findOpenInvoice(database, subscriptionId);
    response.json(await transact(database, [invoice.id], (trx) => payInvoice(trx, invoice.id)));
  });
  router.post('/customers/charges', async (request, response) => {
    const { customerId, fail } = parseParameters(chargesSchema, request.body ?? {});
    response.json(await transact(database, [customerId], (trx) => letChargesFail(trx, customerId, fail)));
  });
  router.get('/dunning', async (_request, response) => {
    response.json(await readDunning(database));
  });
  router.put('/dunning', async (request, response) => {
    const dunning = parseParameters(dunningSchema, request.body ?? {});
    await transact(database, [], (trx) => saveDunning(trx, dunning));
    response.json(dunning);
  });
  router.post('/sessions/settle', async (request, response) => {
    const { sessionId, succeeds } = parseParameters(settlementSchema, request.body ?? {});
    response.json(await transact(database, [sessionId], (trx) => settleSession(trx, sessionId, succeeds)));
  });
  router.use(answerError);
  return router;
}

async function findOpenInvoice(database: SandboxDatabase, subscriptionId: string): Promise<Invoice> {
  const { data } = await listObjects<Invoice>(database, 'invoice', {
    filter: { status: 'open', parent: { subscription_details: { subscription: subscriptionId } } },
    page: { limit: 1 },
  });
  if (data[0]) return data[0];
  throw invalidRequest('This subscription has no open invoice.', { param: 'subscriptionId' });
}
