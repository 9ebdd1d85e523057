import type { Decline } from './test-cards.ts';
import { type Charge, newId, nowSeconds, type PaymentIntent, type PaymentMethod } from './wire.ts';

/** Builds the charge of a payment by card, refused if there is a `decline`. */
export function newCharge(intent: PaymentIntent, method: PaymentMethod, decline?: Decline): Charge {
  const succeeds = decline === undefined;
  return {
    ...CONSTANT_FIELDS,
    id: newId('ch'),
    amount: intent.amount,
    amount_captured: succeeds ? intent.amount : 0,
    billing_details: method.billing_details,
    captured: succeeds,
    created: nowSeconds(),
    currency: intent.currency,
    customer: intent.customer,
    description: intent.description,
    failure_code: decline?.code ?? null,
    failure_message: decline?.message ?? null,
    metadata: intent.metadata,
    outcome: toOutcome(decline),
    paid: succeeds,
    payment_intent: intent.id,
    payment_method: method.id,
    payment_method_details: { type: 'card', card: toCardDetails(intent.amount, method) },
    status: succeeds ? 'succeeded' : 'failed',
  };
}

function toOutcome(decline: Decline | undefined): NonNullable<Charge['outcome']> {
  return {
    advice_code: null,
    network_advice_code: null,
    network_decline_code: null,
    network_status: decline ? 'declined_by_network' : 'approved_by_network',
    reason: decline ? (decline.decline_code ?? decline.code) : null,
    risk_level: 'normal',
    risk_score: 20,
    seller_message: decline
      ? 'The bank did not return any further details with this decline.'
      : 'Payment complete.',
    type: decline ? 'issuer_declined' : 'authorized',
  };
}

type CardDetails = NonNullable<NonNullable<Charge['payment_method_details']>['card']>;

function toCardDetails(amount: number, { card }: PaymentMethod): CardDetails {
  return {
    amount_authorized: amount,
    authorization_code: null,
    brand: card?.brand ?? null,
    checks: card?.checks ?? null,
    country: card?.country ?? null,
    electronic_commerce_indicator: null,
    exp_month: card?.exp_month ?? 12,
    exp_year: card?.exp_year ?? 2099,
    fingerprint: card?.fingerprint ?? null,
    funding: card?.funding ?? null,
    installments: null,
    last4: card?.last4 ?? null,
    mandate: null,
    network: card?.brand ?? null,
    network_transaction_id: null,
    regulated_status: card?.regulated_status ?? null,
    three_d_secure: null,
    transaction_link_id: null,
    wallet: null,
  };
}

/** Fields with the same value in every new charge of the sandbox. */
const CONSTANT_FIELDS = {
  object: 'charge',
  amount_refunded: 0,
  application: null,
  application_fee: null,
  application_fee_amount: null,
  balance_transaction: null,
  calculated_statement_descriptor: 'SANDBOX',
  disputed: false,
  failure_balance_transaction: null,
  fraud_details: {},
  livemode: false,
  on_behalf_of: null,
  receipt_email: null,
  receipt_number: null,
  receipt_url: null,
  refunded: false,
  review: null,
  shipping: null,
  source: null,
  source_transfer: null,
  statement_descriptor: null,
  statement_descriptor_suffix: null,
  transfer_data: null,
  transfer_group: null,
} satisfies Partial<Charge>;
