import express from 'express';
import { z } from 'zod';
import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import { deliveryFaultsSchema, readDeliveryFaults, saveDeliveryFaults } from './delivery-faults.ts';
import { countOnTheirWay, listDeliveries } from './delivery-tries.ts';
import { decisionSchema, disputeByControl, disputeSchema } from './dispute-controls.ts';
import { closeDispute } from './disputes.ts';
import { dunningSchema, readDunning, saveDunning } from './dunning.ts';
import { answerError, invalidRequest } from './errors.ts';
import { readEvent, scheduleDelivery } from './events.ts';
import { failNextInvoice } from './fail-next-invoice.ts';
import { listObjects } from './objects.ts';
import { refuseOtherSites } from './pages.ts';
import { parseParameters } from './parse-parameters.ts';
import { payInvoice } from './pay-invoice.ts';
import { settleSession } from './settle-session.ts';
import { transact } from './transact.ts';
import type { Invoice } from './wire.ts';

const subscriptionSchema = z.object({ subscriptionId: z.string().min(1) });

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
    const deliveries = await listDeliveries(database, { eventId, limit });
    response.json({ deliveries, onTheirWay: await countOnTheirWay(database) });
  });
  router.get('/deliveries/faults', async (_request, response) => {
    response.json(await readDeliveryFaults(database));
  });
  router.put('/deliveries/faults', async (request, response) => {
    const faults = parseParameters(deliveryFaultsSchema, request.body ?? {});
    await transact(database, [], (trx) => saveDeliveryFaults(trx, faults));
    response.json(faults);
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
    const pay = (trx: SandboxTransaction) => payInvoice(trx, invoice.id, { outcome: 'succeeds' });
    response.json((await transact(database, [invoice.id], pay)).invoice);
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
  router.post('/disputes', async (request, response) => {
    const wanted = parseParameters(disputeSchema, request.body ?? {});
    const ids = Object.values(wanted).filter((value) => value !== undefined);
    response.json(await transact(database, ids, (trx) => disputeByControl(trx, wanted)));
  });
  router.post('/disputes/:id/close', async (request, response) => {
    const { outcome } = parseParameters(decisionSchema, request.body ?? {});
    const { id } = request.params;
    response.json(await transact(database, [id], (trx) => closeDispute(trx, id, outcome)));
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
