import { z } from 'zod';
import type { SandboxTransaction } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest } from './errors.ts';
import { type EventCause, emitEvent } from './events.ts';
import { listPendingItems, putOnInvoice } from './invoice-items.ts';
import { newInvoice } from './invoice-object.ts';
import { insertObject, lockObject, readObject, saveObject } from './objects.ts';
import { boolean, pageParameters, text } from './parameters.ts';
import { equals, mountResource, type Resource } from './resource.ts';
import { changeSubscription, toId } from './subscription-changes.ts';
import { type Customer, type Invoice, nowSeconds, type Subscription, toList } from './wire.ts';

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
  endpoints.get('/invoices/:id/lines', listed, async (database, { id, input: { limit } }) => {
    const { url, data } = (await readObject<Invoice>(database, 'invoice', id)).lines;
    return toList(url, data.slice(0, limit), data.length > limit);
  });
  // Every payment succeeds here, so `off_session` changes nothing.
  const paid = { answers: 'invoice', parameters: { off_session: boolean.optional() } };
  endpoints.post('/invoices/:id/pay', paid, (trx, { id, request }) => payInvoice(trx, id, request));
}

interface NewInvoice {
  reason: NonNullable<Invoice['billing_reason']>;
  paid: boolean;
}

/**
 * Creates an invoice of a subscription, paid or open, with all pending prorations. It also bills the items'
 * period, unless `bills` is `prorations`; then there is no invoice if nothing is pending. Emits no event.
 */
export async function createInvoice(
  trx: SandboxTransaction,
  subscription: Subscription,
  options: NewInvoice & { bills: 'period' },
): Promise<Invoice>;
export async function createInvoice(
  trx: SandboxTransaction,
  subscription: Subscription,
  options: NewInvoice & { bills: 'period' | 'prorations' },
): Promise<Invoice | undefined>;
export async function createInvoice(
  trx: SandboxTransaction,
  subscription: Subscription,
  { bills, ...options }: NewInvoice & { bills: 'period' | 'prorations' },
): Promise<Invoice | undefined> {
  const pending = await listPendingItems(trx, subscription.id);
  if (bills === 'prorations' && pending.length === 0) return undefined;
  const customer = await lockObject<Customer>(trx, 'customer', toId(subscription.customer));
  const items = bills === 'period' ? subscription.items.data : [];
  const invoice = newInvoice(subscription, customer, { items, pending }, options);
  await insertObject(trx, invoice);
  await putOnInvoice(trx, pending, invoice.id);
  const balance = invoice.ending_balance ?? 0;
  if (balance !== customer.balance) await saveObject(trx, { ...customer, balance } as Customer);
  return invoice;
}

/** Fails the next period's payment: leaves an open invoice and a past-due subscription, with their events. */
export async function failNextInvoice(trx: SandboxTransaction, subscriptionId: string): Promise<Invoice> {
  const subscription = await lockObject<Subscription>(trx, 'subscription', subscriptionId);
  if (subscription.status === 'canceled')
    throw invalidRequest('A canceled subscription has no further invoices.', { param: 'subscriptionId' });
  const invoice = await createInvoice(trx, subscription, {
    reason: 'subscription_cycle',
    paid: false,
    bills: 'period',
  });
  await emitEvent(trx, { type: 'invoice.payment_failed', object: invoice });
  await changeSubscription(trx, subscription, { status: 'past_due', latest_invoice: invoice.id });
  return invoice;
}

/** Pays an open invoice. A subscription that was past due becomes active again. */
export async function payInvoice(
  trx: SandboxTransaction,
  id: string,
  request?: EventCause,
): Promise<Invoice> {
  const invoice = await lockObject<Invoice>(trx, 'invoice', id);
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
  await saveObject(trx, paid);
  const cause = request && { request };
  await emitEvent(trx, { type: 'invoice.paid', object: paid, ...cause });
  const subscriptionId = paid.parent?.subscription_details?.subscription;
  if (subscriptionId) {
    const subscription = await lockObject<Subscription>(trx, 'subscription', toId(subscriptionId));
    if (subscription.status === 'past_due')
      await changeSubscription(trx, subscription, { status: 'active' }, request);
  }
  return paid;
}
