import type { SandboxTransaction } from '../database.ts';
import { newCharge } from './charge-object.ts';
import { findDefaultMethod, type PayingMethod } from './default-payment-method.ts';
import { openDispute } from './disputes.ts';
import type { Endpoints } from './endpoint.ts';
import { closePayment, findOpenPayment, openPayment } from './invoice-payments.ts';
import { insertObject, lockObject, saveObject } from './objects.ts';
import { changeMetadata, metadataChange, text, unsettable } from './parameters.ts';
import { newInvoiceIntent } from './payment-intents.ts';
import { listRefunds } from './refunds.ts';
import { equals, mountResource, type Resource } from './resource.ts';
import { toId } from './subscription-changes.ts';
import type { Decline } from './test-cards.ts';
import type { Charge, Invoice, InvoicePayment, PaymentIntent } from './wire.ts';

export const charges: Resource<Charge> = {
  object: 'charge',
  path: '/charges',
  filters: { customer: equals(text, 'customer'), payment_intent: equals(text, 'payment_intent') },
  search: {
    amount: { type: 'number', path: ['amount'] },
    created: { type: 'number', path: ['created'] },
    currency: { type: 'token', path: ['currency'] },
    customer: { type: 'token', path: ['customer'] },
    disputed: { type: 'token', path: ['disputed'] },
    refunded: { type: 'token', path: ['refunded'] },
    status: { type: 'token', path: ['status'] },
  },
  expandable: {
    customer: 'customer',
    payment_intent: 'payment_intent',
    refunds: 'refund[]',
  },
  includes: { refunds: listRefunds },
};

export function mountCharges(endpoints: Endpoints): void {
  mountResource(endpoints, charges);
  const parameters = { description: unsettable(text).optional(), metadata: metadataChange };
  endpoints.post('/charges/:id', { answers: 'charge', parameters }, async (trx, { id, input }) => {
    const before = await lockObject<Charge>(trx, 'charge', id);
    const { description = before.description } = input;
    const after: Charge = {
      ...before,
      description,
      metadata: changeMetadata(before.metadata, input.metadata),
    };
    await saveObject(trx, after);
    return after;
  });
}

/** How an invoice is charged. */
export interface ChargeOptions {
  /** Replaces the default payment method. */
  method?: PayingMethod | undefined;
  /** Replaces what the card would answer. */
  outcome?: 'fails' | 'succeeds';
}

/** The answer to a charge. Without a payment method there is a decline and no charge. */
export interface ChargeAnswer {
  decline?: Decline | undefined;
  charge?: Charge | undefined;
}

/**
 * Charges an open invoice, which the caller has locked, like `charge`. The caller records the result on the
 * invoice: `payInvoice` does both.
 */
export async function chargeInvoice(
  trx: SandboxTransaction,
  invoice: Invoice,
  options: ChargeOptions = {},
): Promise<'failed' | 'succeeded'> {
  const { decline } = await charge(trx, invoice, options);
  return decline === undefined ? 'succeeded' : 'failed';
}

/**
 * Charges what remains of an invoice to the default payment method of the invoice, its subscription or its
 * customer. Creates the payment intent, if it is the first try, and the charge. Leaves the invoice as it is.
 */
export async function charge(
  trx: SandboxTransaction,
  invoice: Invoice,
  options: ChargeOptions,
): Promise<ChargeAnswer> {
  const paying = options.method ?? (await findDefaultMethod(trx, invoice));
  const decline = decide(paying, options.outcome);
  const { payment, intent } = await openIntent(trx, invoice);
  const made = paying && (await chargeIntent(trx, intent, paying, decline));
  if (decline) return { decline, charge: made };
  await closePayment(trx, payment, 'paid');
  if (made && paying?.card.disputed) await openDispute(trx, made, { reason: 'fraudulent' });
  return { charge: made };
}

const NO_METHOD: Decline = {
  code: 'resource_missing',
  decline_code: null,
  message: 'This customer has no attached payment source or default payment method.',
};

const REFUSED: Decline = {
  code: 'card_declined',
  decline_code: 'generic_decline',
  message: 'Your card was declined.',
};

function decide(paying: PayingMethod | undefined, outcome: ChargeOptions['outcome']): Decline | undefined {
  if (outcome === 'succeeds') return undefined;
  if (outcome === 'fails') return paying?.card.decline ?? REFUSED;
  return paying === undefined ? NO_METHOD : paying.card.decline;
}

/** Opens the payment of an invoice, or continues the one of an earlier try. */
async function openIntent(
  trx: SandboxTransaction,
  invoice: Invoice,
): Promise<{ payment: InvoicePayment; intent: PaymentIntent }> {
  const open = await findOpenPayment(trx, invoice.id);
  if (open !== undefined) {
    const id = toId(open.payment.payment_intent ?? '');
    return { payment: open, intent: await lockObject<PaymentIntent>(trx, 'payment_intent', id) };
  }
  const intent = newInvoiceIntent(invoice);
  await insertObject(trx, intent);
  return { payment: await openPayment(trx, invoice, intent), intent };
}

/** Charges a stored payment intent once; a `decline` is the card's refusal. Emits no event. */
export async function chargeIntent(
  trx: SandboxTransaction,
  intent: PaymentIntent,
  { method }: PayingMethod,
  decline?: Decline,
): Promise<Charge> {
  const made = newCharge(intent, method, decline);
  await insertObject(trx, made);
  const after: PaymentIntent = {
    ...intent,
    amount_received: decline ? 0 : intent.amount,
    last_payment_error: decline ? toPaymentError(decline, made.id) : null,
    latest_charge: made.id,
    payment_method: decline ? null : method.id,
    status: decline ? 'requires_payment_method' : 'succeeded',
  };
  await saveObject(trx, after);
  return made;
}

function toPaymentError(
  { code, decline_code, message }: Decline,
  charge: string,
): NonNullable<PaymentIntent['last_payment_error']> {
  return { charge, code, ...(decline_code !== null && { decline_code }), message, type: 'card_error' };
}
