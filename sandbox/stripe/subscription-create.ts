import { z } from 'zod';
import type { SandboxTransaction } from '../database.ts';
import { chargeInvoice } from './charges.ts';
import { invalidRequest, StripeError } from './errors.ts';
import { type EventCause, emitEvent } from './events.ts';
import { markFailed, markPaid } from './invoice-payment.ts';
import { createInvoice } from './invoices.ts';
import { insertObject, readObject, saveObject } from './objects.ts';
import { boolean, fields, integer, metadata, text } from './parameters.ts';
import { createPrice, priceData } from './prices.ts';
import { checkItems } from './subscription-items.ts';
import { newSubscription } from './subscription-object.ts';
import { type Customer, type Invoice, nowSeconds, type Price, type Subscription } from './wire.ts';

const DAY_SECONDS = 24 * 3600;

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
  const isTrial = made.status === 'trialing';
  const invoice = await createInvoice(trx, made, {
    reason: 'subscription_create',
    paid: isTrial,
    bills: 'period',
  });
  const stored: Subscription = { ...made, latest_invoice: invoice.id };
  await insertObject(trx, stored);
  for (const type of ['invoice.created', 'invoice.finalized'] as const)
    await emitEvent(trx, { type, object: invoice, request });
  const subscription = isTrial
    ? stored
    : await payFirst(trx, stored, invoice, input.payment_behavior, request);
  await emitEvent(trx, { type: 'customer.subscription.created', object: subscription, request });
  return subscription;
}

async function payFirst(
  trx: SandboxTransaction,
  subscription: Subscription,
  invoice: Invoice,
  behavior: Parameters['payment_behavior'],
  request: EventCause,
): Promise<Subscription> {
  const isFree = invoice.amount_due === 0;
  const waits = behavior === 'default_incomplete' && !isFree;
  const succeeds = !waits && (isFree || (await chargeInvoice(trx, invoice)) === 'succeeded');
  if (succeeds) {
    await markPaid(trx, invoice, { request });
    return subscription;
  }
  if (!waits && behavior === 'error_if_incomplete')
    throw new StripeError(402, {
      type: 'card_error',
      code: 'card_declined',
      message: 'Your card was declined.',
    });
  const incomplete: Subscription = { ...subscription, status: 'incomplete' };
  await saveObject(trx, incomplete);
  if (!waits) await markFailed(trx, invoice, { request });
  return incomplete;
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
  return { ...made, ...toCancellation(made, input) };
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

/** Returns the end of the trial that the parameters ask for, in Unix seconds; undefined without one. */
export function toTrialEnd({
  trial_end,
  trial_period_days,
}: {
  trial_end?: number | 'now' | undefined;
  trial_period_days?: number | undefined;
}): number | undefined {
  if (trial_end !== undefined && trial_period_days !== undefined)
    throw invalidRequest('You may only specify one of these parameters: trial_end, trial_period_days.', {
      param: 'trial_end',
    });
  if (trial_period_days !== undefined) return nowSeconds() + trial_period_days * DAY_SECONDS;
  if (trial_end === 'now') return undefined;
  if (trial_end !== undefined && trial_end <= nowSeconds())
    throw invalidRequest('Invalid timestamp: must be an integer Unix timestamp in the future.', {
      param: 'trial_end',
    });
  return trial_end;
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
