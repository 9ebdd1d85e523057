import { z } from 'zod';
import { AnswerFields, amount, listOf, optionalTime, reference, stripeId, time } from './answer-fields.ts';
import { toPayPage } from './pay-page.ts';
import { INVOICE_STATUSES, type Invoice } from './subscription-view.ts';

const status = z.enum(INVOICE_STATUSES).exclude(['unrecognized']);

const UNREADABLE_ID = 'unknown';

/** An invoice with the ids of the payments that were made for it: payment intents and charges. */
export interface ListedInvoice extends Invoice {
  paymentIds: string[];
  /** Whether these are all of them. */
  namesAllPayments: boolean;
}

export interface InvoicePage {
  invoices: ListedInvoice[];
  /** Whether there are older ones. */
  hasMore: boolean;
  /** The cursor of the next page; undefined also where the last invoice cannot be read. */
  next: string | undefined;
}

/**
 * Reads a list of invoices. One that cannot be understood is `unrecognized`, which nobody owes. `apiUrl`: of
 * what stands in for Stripe.
 * @throws RetryableError for an answer that is no list
 */
export function readInvoices(
  answer: unknown,
  { oddities, apiUrl }: { oddities: string[]; apiUrl?: string | undefined },
): InvoicePage {
  const list = new AnswerFields('invoices', { answer }, oddities).require('answer', listOf);
  const invoices = list.data.map((invoice) =>
    readInvoice(new AnswerFields('invoice', invoice, oddities), apiUrl),
  );
  const hasMore = list.has_more === true;
  const last = invoices.at(-1)?.invoiceId;
  return { invoices, hasMore, next: hasMore && last !== UNREADABLE_ID ? last : undefined };
}

function readInvoice(fields: AnswerFields, apiUrl: string | undefined): ListedInvoice {
  const odd = fields.oddities.length;
  const createdAt = fields.read('created', time, new Date(0));
  const dueAt = fields.read('due_date', optionalTime, null);
  const finalizedAt = fields.read('status_transitions.finalized_at', optionalTime, null);
  const amountRemaining = fields.read('amount_remaining', amount, 0);
  const paid = fields.read('paid', z.boolean().nullish(), null);
  const stated = fields.read<Invoice['status']>('status', status, 'unrecognized');
  const invoice: ListedInvoice = {
    invoiceId: fields.read('id', stripeId, UNREADABLE_ID),
    status: fields.oddities.length > odd ? 'unrecognized' : stated,
    dueAt: dueAt ?? finalizedAt ?? createdAt,
    createdAt,
    amountDue: fields.read('amount_due', amount, 0),
    amountRemaining,
    // Older API versions say `paid` besides, also of an invoice that was paid after it was written off.
    paid: stated === 'paid' || paid === true,
    credited: isCredited(fields),
    attempted: fields.read('attempted', z.boolean().nullish(), null) === true,
    billingReason: fields.read('billing_reason', z.string().nullish(), null) ?? null,
    periodEnd: fields.read('period_end', optionalTime, null),
    payPage: toPayPage(fields.read('hosted_invoice_url', z.unknown(), null), apiUrl),
    priceIds: readPrices(fields),
    paymentIds: readPayments(fields),
    namesAllPayments: fields.read('payments.has_more', z.boolean().nullish(), null) !== true,
  };
  return invoice;
}

/** A credit note first takes away what is owed, and an invoice of which nothing is left counts as paid. */
function isCredited(fields: AnswerFields): boolean {
  const total = fields.read('total', amount.nullish(), null) ?? 0;
  return total > 0 && (fields.read('pre_payment_credit_notes_amount', amount.nullish(), null) ?? 0) >= total;
}

/** A line's price is an id since API version 2025-03-31, and was an object before. */
function readPrices(fields: AnswerFields): string[] {
  const ids = fields.list('lines').flatMap((item) => {
    const line = new AnswerFields('line', item, fields.oddities);
    if (line.read('amount', amount, -1) < 0) return [];
    const id =
      line.read('pricing.price_details.price', reference.nullish(), null) ??
      line.read('price', reference.nullish(), null);
    return id === null || id === undefined ? [] : [id];
  });
  return [...new Set(ids)];
}

/** Payments are a list since API version 2025-03-31; before, an invoice named one intent and one charge. */
function readPayments(fields: AnswerFields): string[] {
  const listed = fields.list('payments').flatMap((item) => {
    const { payment } = z.object({ payment: z.unknown() }).catch({ payment: {} }).parse(item);
    return referencesIn(new AnswerFields('payment', payment, fields.oddities));
  });
  return [...new Set([...listed, ...referencesIn(fields)])];
}

function referencesIn(fields: AnswerFields): string[] {
  return ['payment_intent', 'charge'].flatMap((field) => {
    const id = fields.read(field, reference.nullish(), null);
    return id === null || id === undefined ? [] : [id];
  });
}
