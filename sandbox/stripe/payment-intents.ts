import type { Endpoints } from './endpoint.ts';
import { text } from './parameters.ts';
import { equals, mountResource, type Resource } from './resource.ts';
import { toId } from './subscription-changes.ts';
import { type Invoice, newId, nowSeconds, type PaymentIntent, type Session } from './wire.ts';

export const paymentIntents: Resource<PaymentIntent> = {
  object: 'payment_intent',
  path: '/payment_intents',
  filters: { customer: equals(text, 'customer') },
  search: {
    amount: { type: 'number', path: ['amount'] },
    created: { type: 'number', path: ['created'] },
    currency: { type: 'token', path: ['currency'] },
    customer: { type: 'token', path: ['customer'] },
    status: { type: 'token', path: ['status'] },
  },
  expandable: {
    customer: 'customer',
    latest_charge: 'charge',
    on_behalf_of: 'account',
    payment_method: 'payment_method',
    review: 'review',
  },
};

export function mountPaymentIntents(endpoints: Endpoints): void {
  mountResource(endpoints, paymentIntents);
}

/** Builds the succeeded payment of a session in `payment` mode. */
export function newPaymentIntent(
  session: Session,
  customerId: string,
  metadata: Record<string, string>,
): PaymentIntent {
  const amount = session.amount_total ?? 0;
  return {
    ...CONSTANT_FIELDS,
    id: newId('pi'),
    amount,
    amount_received: amount,
    created: nowSeconds(),
    currency: session.currency ?? 'eur',
    customer: customerId,
    metadata,
  };
}

/** Builds the payment of an invoice, before its first charge. */
export function newInvoiceIntent(invoice: Invoice): PaymentIntent {
  return {
    ...CONSTANT_FIELDS,
    id: newId('pi'),
    amount: invoice.amount_remaining,
    amount_received: 0,
    created: nowSeconds(),
    currency: invoice.currency,
    customer: invoice.customer ? toId(invoice.customer) : null,
    description: `Payment of invoice ${invoice.number}`,
    metadata: {},
    status: 'requires_payment_method',
  };
}

/** Fields with the same value in every payment of the sandbox. */
const CONSTANT_FIELDS = {
  object: 'payment_intent',
  allowed_payment_method_types: null,
  amount_capturable: 0,
  application: null,
  application_fee_amount: null,
  automatic_payment_methods: null,
  canceled_at: null,
  cancellation_reason: null,
  capture_method: 'automatic_async',
  client_secret: null,
  confirmation_method: 'automatic',
  customer_account: null,
  description: null,
  excluded_payment_method_types: null,
  last_payment_error: null,
  latest_charge: null,
  livemode: false,
  managed_payments: null,
  next_action: null,
  on_behalf_of: null,
  payment_method: null,
  payment_method_configuration_details: null,
  payment_method_options: null,
  payment_method_types: ['card'],
  payment_record: null,
  processing: null,
  receipt_email: null,
  review: null,
  setup_future_usage: null,
  shipping: null,
  source: null,
  statement_descriptor: null,
  statement_descriptor_suffix: null,
  status: 'succeeded',
  transfer_group: null,
} satisfies Partial<PaymentIntent>;
