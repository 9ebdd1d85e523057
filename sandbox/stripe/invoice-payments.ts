import { z } from 'zod';
import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { insertObject, listObjects, readObject, saveObject } from './objects.ts';
import { fields, text } from './parameters.ts';
import { equals, mountResource, type Resource } from './resource.ts';
import { toId } from './subscription-changes.ts';
import { type Invoice, type InvoicePayment, newId, nowSeconds, type PaymentIntent, toList } from './wire.ts';

/** Links invoices with their payments: an invoice itself no longer names its payment or charge. */
export const invoicePayments: Resource<InvoicePayment> = {
  object: 'invoice_payment',
  path: '/invoice_payments',
  filters: {
    invoice: equals(text, 'invoice'),
    payment: equals(
      fields({ type: z.enum(['payment_intent', 'payment_record']), payment_intent: text.optional() }),
      'payment',
    ),
    status: equals(z.enum(['canceled', 'open', 'paid']), 'status'),
  },
  expandable: { invoice: 'invoice', 'payment.payment_intent': 'payment_intent' },
};

export function mountInvoicePayments(endpoints: Endpoints): void {
  mountResource(endpoints, invoicePayments);
}

/** Lists the payments of an invoice, which it contains only on request. */
export async function listInvoicePayments(database: SandboxDatabase, { id }: Invoice) {
  const options = { filter: { invoice: id }, page: { limit: 100 } };
  const { data, hasMore } = await listObjects<InvoicePayment>(database, 'invoice_payment', options);
  return toList('/v1/invoice_payments', data, hasMore);
}

/** Returns the open payment of an invoice, which its next charge continues, or undefined. */
export async function findOpenPayment(
  database: SandboxDatabase,
  invoiceId: string,
): Promise<InvoicePayment | undefined> {
  const filter = { invoice: invoiceId, status: 'open' };
  const { data } = await listObjects<InvoicePayment>(database, 'invoice_payment', {
    filter,
    page: { limit: 1 },
  });
  return data[0];
}

/** Returns the id of the charge that paid an invoice; undefined if it was paid otherwise, or not yet. */
export async function findPaidCharge(
  database: SandboxDatabase,
  invoice: Invoice,
): Promise<string | undefined> {
  const { data } = await listInvoicePayments(database, invoice);
  const intentId = data.find(({ status }) => status === 'paid')?.payment.payment_intent;
  if (!intentId) return undefined;
  const intent = await readObject<PaymentIntent>(database, 'payment_intent', toId(intentId));
  return intent.latest_charge ? toId(intent.latest_charge) : undefined;
}

/** Opens the payment of an invoice by a payment intent. */
export async function openPayment(
  trx: SandboxTransaction,
  invoice: Invoice,
  intent: PaymentIntent,
): Promise<InvoicePayment> {
  const payment: InvoicePayment = {
    id: newId('inpay'),
    object: 'invoice_payment',
    amount_paid: null,
    amount_requested: intent.amount,
    created: nowSeconds(),
    currency: invoice.currency,
    invoice: invoice.id,
    is_default: true,
    livemode: false,
    payment: { type: 'payment_intent', payment_intent: intent.id },
    status: 'open',
    status_transitions: { canceled_at: null, paid_at: null },
  };
  await insertObject(trx, payment);
  return payment;
}

/** Ends an open payment. */
export async function closePayment(
  trx: SandboxTransaction,
  payment: InvoicePayment,
  status: 'canceled' | 'paid',
): Promise<void> {
  const at = nowSeconds();
  const closed: InvoicePayment = {
    ...payment,
    amount_paid: status === 'paid' ? payment.amount_requested : null,
    status,
    status_transitions: {
      canceled_at: status === 'canceled' ? at : null,
      paid_at: status === 'paid' ? at : null,
    },
  };
  await saveObject(trx, closed);
}
