import type Stripe from 'stripe';
import { toId } from './subscription-changes.ts';
import {
  type Customer,
  type Invoice,
  type InvoiceItem,
  newId,
  nowSeconds,
  type Subscription,
  type SubscriptionItem,
  toList,
  type Wire,
} from './wire.ts';

/** How long the draft of a renewal can be changed. */
const DRAFT_SECONDS = 3600;

/** The period that ended when an invoice was made, in Unix seconds. */
export interface Usage {
  start: number;
  end: number;
}

/** The content of an invoice: items of a subscription for their period, and items that were pending. */
export interface Billed {
  items: readonly SubscriptionItem[];
  pending: readonly InvoiceItem[];
}

/**
 * Builds an open invoice of a subscription, which nobody has tried to pay. It uses up, or settles, the
 * customer's balance first.
 */
export function newInvoice(
  subscription: Subscription,
  customer: Customer,
  billed: Billed,
  { reason, usage }: { reason: NonNullable<Invoice['billing_reason']>; usage?: Usage | undefined },
): Invoice {
  const id = newId('in');
  const created = nowSeconds();
  const lines = newLines(id, subscription, billed);
  const total = lines.reduce((sum, line) => sum + line.amount, 0);
  const balance = total + customer.balance;
  const due = Math.max(0, balance);
  return {
    ...CONSTANT_FIELDS,
    ...toPaymentFields(due, created),
    id,
    billing_reason: reason,
    created,
    currency: subscription.currency,
    customer: customer.id,
    customer_email: customer.email,
    customer_name: customer.name ?? null,
    effective_at: created,
    ending_balance: Math.min(0, balance),
    lines: toList(`/v1/invoices/${id}/lines`, lines),
    number: toInvoiceNumber(id),
    parent: toParent(subscription),
    period_end: usage?.end ?? created,
    period_start: usage?.start ?? created,
    starting_balance: customer.balance,
    subtotal: total,
    subtotal_excluding_tax: total,
    test_clock: subscription.test_clock,
    total,
    total_excluding_tax: total,
  };
}

function toParent({ id, metadata }: Subscription) {
  const subscription_details = { metadata, subscription: id };
  return { type: 'subscription_details' as const, quote_details: null, subscription_details };
}

/** Returns an open invoice as the draft before it. One that collects is finalized after an hour. */
export function toDraft(open: Invoice, collects: boolean): Invoice {
  const finalizesAt = collects ? open.created + DRAFT_SECONDS : null;
  return {
    ...open,
    auto_advance: collects,
    automatically_finalizes_at: finalizesAt,
    effective_at: null,
    next_payment_attempt: finalizesAt,
    number: null,
    status: 'draft',
    status_transitions: { ...open.status_transitions, finalized_at: null },
  };
}

/** Returns the number that a finalized invoice shows. */
export function toInvoiceNumber(id: string): string {
  return `SANDBOX-${id.slice(-8).toUpperCase()}`;
}

const NO_TRANSITIONS = { marked_uncollectible_at: null, paid_at: null, voided_at: null };

function toPaymentFields(due: number, created: number) {
  return {
    amount_due: due,
    amount_paid: 0,
    amount_remaining: due,
    attempt_count: 0,
    attempted: false,
    auto_advance: true,
    automatically_finalizes_at: null,
    next_payment_attempt: null,
    status: 'open' as const,
    status_transitions: { ...NO_TRANSITIONS, finalized_at: created },
  };
}

function newLines(invoiceId: string, subscription: Subscription, { items, pending }: Billed) {
  return [
    ...pending.map((item) => newProrationLine(invoiceId, subscription, item)),
    ...items.map((item) => newInvoiceLine(invoiceId, subscription, item)),
  ];
}

function newProrationLine(
  invoiceId: string,
  subscription: Subscription,
  { amount, description, period, pricing, quantity, ...item }: InvoiceItem,
): Wire<Stripe.InvoiceLineItem> {
  const details = pricing?.price_details;
  return {
    ...newLineFields(invoiceId, subscription, amount),
    description,
    discountable: false,
    parent: {
      type: 'invoice_item_details',
      invoice_item_details: {
        invoice_item: item.id,
        proration: true,
        proration_details: { credited_items: null },
        subscription: subscription.id,
      },
      subscription_item_details: null,
    },
    period,
    pricing: {
      type: 'price_details',
      price_details: { price: String(details?.price), product: String(details?.product) },
      unit_amount_decimal: pricing?.unit_amount_decimal ?? null,
    },
    quantity,
    quantity_decimal: String(quantity),
  };
}

function newLineFields(invoiceId: string, subscription: Subscription, amount: number) {
  return {
    id: newId('il'),
    object: 'line_item' as const,
    amount,
    currency: subscription.currency,
    discount_amounts: [],
    discounts: [],
    invoice: invoiceId,
    livemode: false,
    metadata: subscription.metadata,
    pretax_credit_amounts: [],
    subscription: subscription.id,
    subtotal: amount,
    taxes: [],
  };
}

function newInvoiceLine(
  invoiceId: string,
  subscription: Subscription,
  item: SubscriptionItem,
): Wire<Stripe.InvoiceLineItem> {
  const quantity = item.quantity ?? 1;
  const isTrial = subscription.status === 'trialing' && item.current_period_end === subscription.trial_end;
  const amount = isTrial ? 0 : (item.price.unit_amount ?? 0) * quantity;
  return {
    ...newLineFields(invoiceId, subscription, amount),
    description: subscription.description,
    discountable: true,
    parent: {
      type: 'subscription_item_details',
      invoice_item_details: null,
      subscription_item_details: {
        invoice_item: null,
        proration: false,
        proration_details: { credited_items: null },
        subscription: subscription.id,
        subscription_item: item.id,
      },
    },
    period: { start: item.current_period_start, end: item.current_period_end },
    pricing: {
      type: 'price_details',
      price_details: { price: item.price.id, product: toId(item.price.product) },
      unit_amount_decimal: item.price.unit_amount_decimal,
    },
    quantity,
    quantity_decimal: String(quantity),
  };
}

/** Fields with the same value in every invoice of the sandbox. */
const CONSTANT_FIELDS = {
  object: 'invoice',
  account_country: 'DE',
  account_name: 'Sandbox',
  account_tax_ids: null,
  amount_overpaid: 0,
  amount_shipping: 0,
  application: null,
  automatic_tax: { disabled_reason: null, enabled: false, liability: null, provider: null, status: null },
  collection_method: 'charge_automatically',
  custom_fields: null,
  customer_account: null,
  customer_address: null,
  customer_phone: null,
  customer_shipping: null,
  customer_tax_exempt: 'none',
  customer_tax_ids: [],
  default_payment_method: null,
  default_source: null,
  default_tax_rates: [],
  description: null,
  discounts: [],
  due_date: null,
  footer: null,
  from_invoice: null,
  hosted_invoice_url: null,
  invoice_pdf: null,
  issuer: { type: 'self' },
  last_finalization_error: null,
  latest_revision: null,
  livemode: false,
  metadata: {},
  on_behalf_of: null,
  payment_settings: { default_mandate: null, payment_method_options: null, payment_method_types: null },
  post_payment_credit_notes_amount: 0,
  pre_payment_credit_notes_amount: 0,
  receipt_number: null,
  rendering: null,
  shipping_cost: null,
  shipping_details: null,
  statement_descriptor: null,
  total_discount_amounts: [],
  total_pretax_credit_amounts: [],
  total_taxes: [],
  webhooks_delivered_at: null,
} satisfies Partial<Invoice>;
