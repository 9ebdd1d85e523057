import type Stripe from 'stripe';
import { idOf } from './subscription-changes.ts';
import {
  type Customer,
  type Invoice,
  type InvoiceItem,
  listOf,
  newId,
  nowSeconds,
  type Subscription,
  type SubscriptionItem,
  type Wire,
} from './wire.ts';

const retryAfterSeconds = 3 * 24 * 3600;

/** What an invoice is about: the items of a subscription that it bills for their period, and what had been waiting for it. */
export type Billed = { items: readonly SubscriptionItem[]; pending: readonly InvoiceItem[] };

/** A finalized invoice of a subscription. The customer's balance pays, or is paid, first. */
export function invoiceOf(
  subscription: Subscription,
  customer: Customer,
  { items, pending }: Billed,
  { reason, paid }: { reason: NonNullable<Invoice['billing_reason']>; paid: boolean },
): Invoice {
  const id = newId('in');
  const created = nowSeconds();
  const lines = [
    ...pending.map((item) => prorationLine(id, subscription, item)),
    ...items.map((item) => invoiceLine(id, subscription, item)),
  ];
  const total = lines.reduce((sum, line) => sum + line.amount, 0);
  const balance = total + customer.balance;
  const due = Math.max(0, balance);
  return {
    ...constantParts,
    id,
    amount_due: due,
    amount_paid: paid ? due : 0,
    amount_remaining: paid ? 0 : due,
    auto_advance: !paid,
    billing_reason: reason,
    created,
    currency: subscription.currency,
    customer: customer.id,
    customer_email: customer.email,
    customer_name: customer.name ?? null,
    effective_at: created,
    ending_balance: Math.min(0, balance),
    lines: listOf(`/v1/invoices/${id}/lines`, lines),
    next_payment_attempt: paid ? null : created + retryAfterSeconds,
    number: `SANDBOX-${id.slice(-8).toUpperCase()}`,
    parent: {
      type: 'subscription_details',
      quote_details: null,
      subscription_details: { metadata: subscription.metadata, subscription: subscription.id },
    },
    period_end: created,
    period_start: created,
    starting_balance: customer.balance,
    status: paid ? 'paid' : 'open',
    status_transitions: {
      finalized_at: created,
      marked_uncollectible_at: null,
      paid_at: paid ? created : null,
      voided_at: null,
    },
    subtotal: total,
    subtotal_excluding_tax: total,
    total,
    total_excluding_tax: total,
  };
}

function prorationLine(
  invoiceId: string,
  subscription: Subscription,
  { amount, description, period, pricing, quantity, ...item }: InvoiceItem,
): Wire<Stripe.InvoiceLineItem> {
  const details = pricing?.price_details;
  return {
    ...lineParts(invoiceId, subscription, amount),
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

function lineParts(invoiceId: string, subscription: Subscription, amount: number) {
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

function invoiceLine(
  invoiceId: string,
  subscription: Subscription,
  item: SubscriptionItem,
): Wire<Stripe.InvoiceLineItem> {
  const quantity = item.quantity ?? 1;
  const amount = (item.price.unit_amount ?? 0) * quantity;
  return {
    ...lineParts(invoiceId, subscription, amount),
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
      price_details: { price: item.price.id, product: idOf(item.price.product) },
      unit_amount_decimal: item.price.unit_amount_decimal,
    },
    quantity,
    quantity_decimal: String(quantity),
  };
}

/** What is the same in every invoice of the sandbox. */
const constantParts = {
  object: 'invoice',
  account_country: 'DE',
  account_name: 'Sandbox',
  account_tax_ids: null,
  amount_overpaid: 0,
  amount_shipping: 0,
  application: null,
  attempt_count: 1,
  attempted: true,
  automatic_tax: { disabled_reason: null, enabled: false, liability: null, provider: null, status: null },
  automatically_finalizes_at: null,
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
  test_clock: null,
  total_discount_amounts: [],
  total_pretax_credit_amounts: [],
  total_taxes: [],
  webhooks_delivered_at: null,
} satisfies Partial<Invoice>;
