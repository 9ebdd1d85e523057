import { z } from 'zod';
import type { Queryable } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest, parseParameters } from './errors.ts';
import { type EventCause, emitEvent } from './events.ts';
import { invoiceOf } from './invoice-object.ts';
import { insertObject, listObjects, readObject, saveObject } from './objects.ts';
import { createdRange, pageParameters } from './parameters.ts';
import { changeSubscription, idOf } from './subscription-changes.ts';
import { type Customer, type Invoice, listOf, nowSeconds, type Subscription } from './wire.ts';

const listParameters = pageParameters.extend({
  created: createdRange,
  customer: z.string().optional(),
  subscription: z.string().optional(),
  status: z.enum(['draft', 'open', 'paid', 'uncollectible', 'void']).optional(),
});

export function mountInvoices(endpoints: Endpoints): void {
  endpoints.get('/invoices', async (db, { input }) => {
    const { created, customer, subscription, status, ...page } = parseParameters(listParameters, input);
    const parent = subscription && { subscription_details: { subscription } };
    const filter = { customer, status, parent };
    const { data, hasMore } = await listObjects<Invoice>(db, 'invoice', { filter, created, page });
    return listOf('/v1/invoices', data, hasMore);
  });
  endpoints.get('/invoices/:id', (db, { id }) => readObject<Invoice>(db, 'invoice', id));
  endpoints.post('/invoices/:id/pay', (db, { id, request }) => payInvoice(db, id, request));
}

/** Makes an invoice for one period of a subscription, paid or open. Emits nothing. */
export async function createInvoice(
  db: Queryable,
  subscription: Subscription,
  { reason, paid }: { reason: NonNullable<Invoice['billing_reason']>; paid: boolean },
): Promise<Invoice> {
  const customer = await readObject<Customer>(db, 'customer', idOf(subscription.customer));
  const invoice = invoiceOf(subscription, customer, { reason, paid });
  await insertObject(db, invoice);
  return invoice;
}

/** The next period's payment fails: an open invoice, a subscription past due, and the events about both. */
export async function failNextInvoice(db: Queryable, subscriptionId: string): Promise<Invoice> {
  const subscription = await readObject<Subscription>(db, 'subscription', subscriptionId, { lock: true });
  if (subscription.status === 'canceled')
    throw invalidRequest('A canceled subscription has no further invoices.', { param: 'subscriptionId' });
  const invoice = await createInvoice(db, subscription, { reason: 'subscription_cycle', paid: false });
  await emitEvent(db, { type: 'invoice.payment_failed', object: invoice });
  await changeSubscription(db, subscription, { status: 'past_due', latest_invoice: invoice.id });
  return invoice;
}

/** Pays an open invoice; a subscription that was past due because of it is active again. */
export async function payInvoice(db: Queryable, id: string, request?: EventCause): Promise<Invoice> {
  const invoice = await readObject<Invoice>(db, 'invoice', id, { lock: true });
  if (invoice.status === 'paid')
    throw invalidRequest('Invoice is already paid', { code: 'invoice_already_paid' });
  const paid: Invoice = {
    ...invoice,
    amount_paid: invoice.amount_due,
    amount_remaining: 0,
    attempt_count: invoice.attempt_count + 1,
    next_payment_attempt: null,
    status: 'paid',
    status_transitions: { ...invoice.status_transitions, paid_at: nowSeconds() },
  };
  await saveObject(db, paid);
  const cause = request && { request };
  await emitEvent(db, { type: 'invoice.paid', object: paid, ...cause });
  const subscriptionId = paid.parent?.subscription_details?.subscription;
  if (subscriptionId) {
    const options = { lock: true };
    const subscription = await readObject<Subscription>(db, 'subscription', idOf(subscriptionId), options);
    if (subscription.status === 'past_due')
      await changeSubscription(db, subscription, { status: 'active' }, request);
  }
  return paid;
}
