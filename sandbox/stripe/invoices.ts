import { z } from 'zod';
import type { Queryable } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest } from './errors.ts';
import { type EventCause, emitEvent } from './events.ts';
import { pendingItems, putOnInvoice } from './invoice-items.ts';
import { invoiceOf } from './invoice-object.ts';
import { insertObject, readObject, saveObject } from './objects.ts';
import { boolean, pageParameters, text } from './parameters.ts';
import { equals, mountResource, type Resource } from './resource.ts';
import { changeSubscription, idOf } from './subscription-changes.ts';
import { type Customer, type Invoice, listOf, nowSeconds, type Subscription } from './wire.ts';

export const invoices: Resource<Invoice> = {
  object: 'invoice',
  path: '/invoices',
  filters: {
    collection_method: equals(z.enum(['charge_automatically', 'send_invoice']), 'collection_method'),
    customer: equals(text, 'customer'),
    status: equals(z.enum(['draft', 'open', 'paid', 'uncollectible', 'void']), 'status'),
    subscription: {
      value: text,
      narrow: (subscription: string) => ({ filter: { parent: { subscription_details: { subscription } } } }),
    },
  },
  search: {
    created: { type: 'number', path: ['created'] },
    currency: { type: 'token', path: ['currency'] },
    customer: { type: 'token', path: ['customer'] },
    number: { type: 'string', path: ['number'] },
    status: { type: 'token', path: ['status'] },
    subscription: { type: 'token', path: ['parent', 'subscription_details', 'subscription'] },
    total: { type: 'number', path: ['total'] },
  },
  expandable: {
    customer: 'customer',
    default_payment_method: 'payment_method',
    default_source: 'source',
    discounts: 'discount',
    latest_revision: 'invoice',
    lines: 'line_item[]',
    'parent.subscription_details.subscription': 'subscription',
    test_clock: 'test_helpers.test_clock',
  },
};

export function mountInvoices(endpoints: Endpoints): void {
  mountResource(endpoints, invoices);
  const listed = { answers: 'line_item[]', parameters: pageParameters };
  endpoints.get('/invoices/:id/lines', listed, async (db, { id, input: { limit } }) => {
    const { url, data } = (await readObject<Invoice>(db, 'invoice', id)).lines;
    return listOf(url, data.slice(0, limit), data.length > limit);
  });
  // Every payment succeeds here, with or without the customer: it is known, and changes nothing.
  const paid = { answers: 'invoice', parameters: { off_session: boolean.optional() } };
  endpoints.post('/invoices/:id/pay', paid, (db, { id, request }) => payInvoice(db, id, request));
}

type NewInvoice = { reason: NonNullable<Invoice['billing_reason']>; paid: boolean };

/**
 * Makes an invoice of a subscription, paid or open, with all prorations that wait for one. It bills the items' period
 * too, or with `prorations` those alone: then there is none where nothing waits. Emits nothing.
 */
export async function createInvoice(
  db: Queryable,
  subscription: Subscription,
  options: NewInvoice & { bills: 'period' },
): Promise<Invoice>;
export async function createInvoice(
  db: Queryable,
  subscription: Subscription,
  options: NewInvoice & { bills: 'period' | 'prorations' },
): Promise<Invoice | undefined>;
export async function createInvoice(
  db: Queryable,
  subscription: Subscription,
  { bills, ...options }: NewInvoice & { bills: 'period' | 'prorations' },
): Promise<Invoice | undefined> {
  const pending = await pendingItems(db, subscription.id);
  if (bills === 'prorations' && pending.length === 0) return undefined;
  const customer = await readObject<Customer>(db, 'customer', idOf(subscription.customer), { lock: true });
  const items = bills === 'period' ? subscription.items.data : [];
  const invoice = invoiceOf(subscription, customer, { items, pending }, options);
  await insertObject(db, invoice);
  await putOnInvoice(db, pending, invoice.id);
  const balance = invoice.ending_balance ?? 0;
  if (balance !== customer.balance) await saveObject(db, { ...customer, balance } as Customer);
  return invoice;
}

/** The next period's payment fails: an open invoice, a subscription past due, and the events about both. */
export async function failNextInvoice(db: Queryable, subscriptionId: string): Promise<Invoice> {
  const subscription = await readObject<Subscription>(db, 'subscription', subscriptionId, { lock: true });
  if (subscription.status === 'canceled')
    throw invalidRequest('A canceled subscription has no further invoices.', { param: 'subscriptionId' });
  const invoice = await createInvoice(db, subscription, {
    reason: 'subscription_cycle',
    paid: false,
    bills: 'period',
  });
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
