import { z } from 'zod';
import type { SandboxTransaction } from '../database.ts';
import { changeBalance } from './customer-balance.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest } from './errors.ts';
import { emitEvent } from './events.ts';
import { mountInvoiceChanges } from './invoice-changes.ts';
import { listPendingItems, putOnInvoice } from './invoice-items.ts';
import { newInvoice, toDraft, type Usage } from './invoice-object.ts';
import { listInvoicePayments } from './invoice-payments.ts';
import { insertObject, lockObject, readObject, saveObject } from './objects.ts';
import { boolean, metadata, pageParameters, text } from './parameters.ts';
import { equals, mountResource, type Resource } from './resource.ts';
import { toId } from './subscription-changes.ts';
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
    payments: 'invoice_payment[]',
    test_clock: 'test_helpers.test_clock',
  },
  includes: { payments: listInvoicePayments },
  present: withHostedUrl,
};

/** Adds the page on which the customer can pay it: at Stripe each finalized invoice has one. */
function withHostedUrl(invoice: Invoice, baseUrl: string): Invoice {
  return invoice.status === 'draft'
    ? invoice
    : { ...invoice, hosted_invoice_url: `${baseUrl}/invoice/${invoice.id}` };
}

export function mountInvoices(endpoints: Endpoints): void {
  mountResource(endpoints, invoices);
  mountDrafts(endpoints);
  mountInvoiceChanges(endpoints);
  const listed = { answers: 'line_item[]', parameters: pageParameters };
  endpoints.get('/invoices/:id/lines', listed, async (database, { id, input: { limit } }) => {
    const { url, data } = (await readObject<Invoice>(database, 'invoice', id)).lines;
    return toList(url, data.slice(0, limit), data.length > limit);
  });
}

/** Serves drafts of what is pending for a subscription. */
function mountDrafts(endpoints: Endpoints): void {
  const created = {
    answers: 'invoice',
    parameters: {
      auto_advance: boolean.default(false),
      customer: text.optional(),
      subscription: text,
      metadata,
    },
  };
  endpoints.post('/invoices', created, async (trx, { input: { auto_advance, metadata, ...names } }) => {
    const id = (await readObject<Subscription>(trx, 'subscription', names.subscription, 'subscription')).id;
    const subscription = await lockObject<Subscription>(trx, 'subscription', id);
    const open = await createInvoice(trx, subscription, { reason: 'manual', bills: 'prorations' });
    if (open === undefined || (names.customer ?? open.customer) !== open.customer)
      throw invalidRequest('Nothing to invoice for customer', { code: 'invoice_no_customer_line_items' });
    const draft: Invoice = { ...toDraft(open, auto_advance), metadata };
    await saveObject(trx, draft);
    return draft;
  });
}

interface NewInvoice {
  reason: NonNullable<Invoice['billing_reason']>;
  /** The period that has ended, for a renewal. */
  usage?: Usage;
}

/**
 * Creates an open invoice of a subscription, with all pending prorations. It also bills the items' period,
 * unless `bills` is `prorations`; then there is no invoice if nothing is pending. Emits no event;
 * `chargeInvoice` collects it.
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
  if (balance !== customer.balance)
    await changeBalance(trx, customer.id, {
      amount: balance - customer.balance,
      currency: invoice.currency,
      type: 'applied_to_invoice',
      invoice: invoice.id,
    });
  return invoice;
}

/**
 * Creates the draft of a renewal: the items' new period, with all pending prorations, and emits its event.
 * The customer's balance is used up already now, an hour earlier than at Stripe.
 */
export async function createDraft(
  trx: SandboxTransaction,
  subscription: Subscription,
  { collects, usage }: { collects: boolean; usage: Usage },
): Promise<Invoice> {
  const options = { reason: 'subscription_cycle', bills: 'period', usage } as const;
  const draft = toDraft(await createInvoice(trx, subscription, options), collects);
  await saveObject(trx, draft);
  await emitEvent(trx, { type: 'invoice.created', object: draft });
  return draft;
}
