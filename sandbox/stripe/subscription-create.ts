import { z } from 'zod';
import type { SandboxTransaction } from '../database.ts';
import { readMethodOf } from './default-payment-method.ts';
import { cardDeclined, invalidRequest } from './errors.ts';
import { type EventCause, emitEvent } from './events.ts';
import { createInvoice } from './invoices.ts';
import { insertObject, readObject, saveObject } from './objects.ts';
import { boolean, fields, integer, metadata, text } from './parameters.ts';
import { tryPayment } from './pay-invoice.ts';
import { createPrice, priceData } from './prices.ts';
import { checkItems } from './subscription-items.ts';
import { newSubscription } from './subscription-object.ts';
import { toTrialEnd } from './subscription-trial.ts';
import { type Customer, type Invoice, nowSeconds, type Price, type Subscription } from './wire.ts';

const item = fields({
  price: text.optional(),
  price_data: priceData.optional(),
  quantity: integer.pipe(z.number().min(0)).default(1),
});

export const createParameters = {
  customer: text,
  items: z.array(item).min(1).max(20),
  cancel_at: integer.optional(),
  cancel_at_period_end: boolean.optional(),
  collection_method: z.enum(['charge_automatically']).optional(),
  default_payment_method: text.optional(),
  description: text.max(500).optional(),
  metadata,
  off_session: boolean.optional(),
  payment_behavior: z
    .enum(['allow_incomplete', 'default_incomplete', 'error_if_incomplete'])
    .default('allow_incomplete'),
  trial_end: z.union([z.literal('now'), integer]).optional(),
  trial_period_days: integer.pipe(z.number().min(1).max(730)).optional(),
};

type Parameters = z.output<z.ZodObject<typeof createParameters>>;

/**
 * Creates a subscription with its first invoice, which is charged at once: until it is paid, the subscription
 * is incomplete. A trial costs nothing.
 * @throws StripeError 402 if the charge fails and `payment_behavior` is `error_if_incomplete`
 */
export async function createSubscription(
  trx: SandboxTransaction,
  input: Parameters,
  request: EventCause,
): Promise<Subscription> {
  const customer = await readObject<Customer>(trx, 'customer', input.customer, 'customer');
  const made = await buildSubscription(trx, customer, input);
  const invoice = await createInvoice(trx, made, { reason: 'subscription_create', bills: 'period' });
  const status = made.status === 'trialing' ? 'trialing' : 'incomplete';
  const stored: Subscription = { ...made, latest_invoice: invoice.id, status };
  await insertObject(trx, stored);
  await emitEvent(trx, { type: 'customer.subscription.created', object: stored, request });
  for (const type of ['invoice.created', 'invoice.finalized'] as const)
    await emitEvent(trx, { type, object: invoice, request });
  const waits = input.payment_behavior === 'default_incomplete' && invoice.amount_due > 0;
  if (!waits) await payFirst(trx, invoice, input.payment_behavior, request);
  return readObject<Subscription>(trx, 'subscription', stored.id);
}

/** Its subscription becomes active if it succeeds. Without it, it is not retried by itself: it expires. */
async function payFirst(
  trx: SandboxTransaction,
  invoice: Invoice,
  behavior: Parameters['payment_behavior'],
  request: EventCause,
): Promise<void> {
  const { decline, charge, invoice: tried } = await tryPayment(trx, invoice, { request });
  if (decline === undefined) return;
  if (behavior === 'error_if_incomplete') throw cardDeclined(decline, charge?.id);
  const waiting: Invoice = { ...tried, next_payment_attempt: null };
  await saveObject(trx, waiting);
}

async function buildSubscription(
  trx: SandboxTransaction,
  customer: Customer,
  input: Parameters,
): Promise<Subscription> {
  const lineItems = [];
  for (const [index, { quantity }] of input.items.entries())
    lineItems.push({ price: await resolvePrice(trx, input, index), quantity, description: null });
  const trialEnd = toTrialEnd(input);
  const { description, metadata } = input;
  const made = newSubscription({ customerId: customer.id, lineItems, metadata, description, trialEnd });
  checkItems(made.items.data);
  const { default_payment_method = null } = input;
  if (default_payment_method !== null)
    await readMethodOf(trx, customer.id, default_payment_method, 'default_payment_method');
  return { ...made, default_payment_method, ...toCancellation(made, input) };
}

async function resolvePrice(trx: SandboxTransaction, { items }: Parameters, index: number): Promise<Price> {
  const { price, price_data } = items[index]!;
  const param = `items[${index}][price]`;
  if ((price === undefined) === (price_data === undefined))
    throw invalidRequest('You must pass either `price` or `price_data` for an item.', { param });
  const found = price_data
    ? await createPrice(trx, price_data)
    : await readObject<Price>(trx, 'price', price!, param);
  if (found.type !== 'recurring' || !found.active)
    throw invalidRequest('The price specified must be active and recurring.', { param });
  return found;
}

function toCancellation(
  { items }: Subscription,
  { cancel_at, cancel_at_period_end }: Parameters,
): Partial<Subscription> {
  if (cancel_at !== undefined && cancel_at_period_end)
    throw invalidRequest('You may only specify one of these parameters: cancel_at, cancel_at_period_end.', {
      param: 'cancel_at',
    });
  if (cancel_at !== undefined && cancel_at <= nowSeconds())
    throw invalidRequest('The cancel_at timestamp must be in the future.', { param: 'cancel_at' });
  const at = cancel_at_period_end ? (items.data[0]?.current_period_end ?? null) : (cancel_at ?? null);
  if (at === null) return {};
  return { cancel_at: at, cancel_at_period_end: cancel_at_period_end ?? false, canceled_at: nowSeconds() };
}
