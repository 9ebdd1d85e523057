import { z } from 'zod';
import type { SandboxTransaction } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest } from './errors.ts';
import { type EventCause, emitEvent } from './events.ts';
import { listPendingItems, putOnInvoice } from './invoice-items.ts';
import { newDraft } from './invoice-object.ts';
import { type InvoiceHidden, markFailed, markPaid } from './invoice-payment.ts';
import { toFinalized, toPaid } from './invoice-states.ts';
import { insertObject, lockObject, readObject, saveHidden, saveObject } from './objects.ts';
import { boolean, pageParameters, text } from './parameters.ts';
import { equals, mountResource, type Resource } from './resource.ts';
import { changeSubscription, toId } from './subscription-changes.ts';
import { type Customer, type Invoice, type Subscription, toList } from './wire.ts';

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
  { bills, reason, paid }: NewInvoice & { bills: 'period' | 'prorations' },
): Promise<Invoice | undefined> {
  const pending = await listPendingItems(trx, subscription.id);
  if (bills === 'prorations' && pending.length === 0) return undefined;
  const customer = await lockObject<Customer>(trx, 'customer', toId(subscription.customer));
  const items = bills === 'period' ? subscription.items.data : [];
  const draft = newDraft(subscription, customer, { items, pending }, { reason, collects: true });
  const open = toFinalized(draft, customer);
  const invoice = paid ? { ...toPaid(open), attempt_count: 1 } : open;
  await insertObject(trx, invoice);
  await putOnInvoice(trx, pending, invoice.id);
  await saveBalance(trx, customer, invoice);
  return invoice;
}

/** Creates the draft of a renewal: the items' new period, with all pending prorations. Emits its event. */
export async function createDraft(
  trx: SandboxTransaction,
  subscription: Subscription,
  options: { collects: boolean; usage: { start: number; end: number } },
): Promise<Invoice> {
  const pending = await listPendingItems(trx, subscription.id);
  const customer = await readObject<Customer>(trx, 'customer', toId(subscription.customer));
  const billed = { items: subscription.items.data, pending };
  const draft = newDraft(subscription, customer, billed, { reason: 'subscription_cycle', ...options });
  await insertObject(trx, draft);
  await putOnInvoice(trx, pending, draft.id);
  await emitEvent(trx, { type: 'invoice.created', object: draft });
  return draft;
}

/** Finalizes a draft, which uses up or settles the customer's balance, and emits its event. */
export async function finalizeInvoice(
  trx: SandboxTransaction,
  draft: Invoice,
  request?: EventCause,
): Promise<Invoice> {
  const customer = await lockObject<Customer>(trx, 'customer', toId(draft.customer ?? ''));
  const invoice = toFinalized(draft, customer);
  await saveObject(trx, invoice);
  await saveBalance(trx, customer, invoice);
  await emitEvent(trx, { type: 'invoice.finalized', object: invoice, ...(request && { request }) });
  return invoice;
}

async function saveBalance(trx: SandboxTransaction, customer: Customer, invoice: Invoice): Promise<void> {
  const balance = invoice.ending_balance ?? 0;
  if (balance !== customer.balance) await saveObject(trx, { ...customer, balance } as Customer);
}

/**
 * Fails the next period's payment: leaves an open invoice and a past-due subscription, with their events. The
 * retries fail too, until the invoice is paid by request.
 */
export async function failNextInvoice(trx: SandboxTransaction, subscriptionId: string): Promise<Invoice> {
  const subscription = await lockObject<Subscription>(trx, 'subscription', subscriptionId);
  if (subscription.status === 'canceled')
    throw invalidRequest('A canceled subscription has no further invoices.', { param: 'subscriptionId' });
  const open = await createInvoice(trx, subscription, {
    reason: 'subscription_cycle',
    paid: false,
    bills: 'period',
  });
  const hidden: InvoiceHidden = { retriesFail: true };
  await saveHidden(trx, open.id, hidden);
  await changeSubscription(trx, subscription, { latest_invoice: open.id });
  return markFailed(trx, open);
}

/** Pays an open invoice, or a draft. A subscription that was past due becomes active again. */
export async function payInvoice(
  trx: SandboxTransaction,
  id: string,
  request?: EventCause,
): Promise<Invoice> {
  const invoice = await lockObject<Invoice>(trx, 'invoice', id);
  if (invoice.status === 'paid')
    throw invalidRequest('Invoice is already paid', { code: 'invoice_already_paid' });
  if (invoice.status === 'void') throw invalidRequest('This invoice is voided and cannot be paid.');
  const open = invoice.status === 'draft' ? await finalizeInvoice(trx, invoice, request) : invoice;
  return markPaid(trx, open, { request });
}
