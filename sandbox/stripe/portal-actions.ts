import { z } from 'zod';
import type { SandboxTransaction } from '../database.ts';
import { changeCustomer } from './customers.ts';
import { cardDeclined, resourceMissing, StripeError } from './errors.ts';
import { listObjects, lockObject } from './objects.ts';
import { tryPayment } from './pay-invoice.ts';
import { attachMethod, storeMethod } from './payment-methods.ts';
import { changeSubscription, toId } from './subscription-changes.ts';
import { updateSubscription } from './subscriptions.ts';
import { findCardByNumber } from './test-cards.ts';
import type { Invoice, Subscription } from './wire.ts';

const id = z.string().min(1).max(255);

/** What a customer can do on the portal's page. */
export const portalActionSchema = z.discriminatedUnion('action', [
  z.object({ action: z.literal('update-card'), card: z.string().trim().min(1).max(30) }),
  z.object({ action: z.literal('cancel'), subscription: id }),
  z.object({ action: z.literal('keep'), subscription: id }),
  z.object({ action: z.literal('change-plan'), subscription: id, price: id }),
  z.object({ action: z.literal('pay'), invoice: id }),
]);

export type PortalAction = z.output<typeof portalActionSchema>;

/**
 * Does what the customer asks for.
 * @returns the refusal of a charge that is kept; undefined if it was done
 * @throws StripeError if nothing was changed
 */
export async function doPortalAction(
  trx: SandboxTransaction,
  customerId: string,
  wanted: PortalAction,
): Promise<StripeError | undefined> {
  if (wanted.action === 'pay') return payOwn(trx, customerId, wanted.invoice);
  if (wanted.action === 'update-card') await updateCard(trx, customerId, wanted.card);
  else await changeOwn(trx, customerId, wanted);
  return undefined;
}

async function payOwn(
  trx: SandboxTransaction,
  customerId: string,
  invoiceId: string,
): Promise<StripeError | undefined> {
  const invoice = await lockObject<Invoice>(trx, 'invoice', invoiceId);
  if (invoice.customer === null || toId(invoice.customer) !== customerId)
    throw resourceMissing('invoice', invoiceId);
  // Someone else, or a second click, has paid it: there is nothing left to do.
  if (invoice.status !== 'open' && invoice.status !== 'uncollectible') return undefined;
  const { decline, charge } = await tryPayment(trx, invoice, {});
  return decline && cardDeclined(decline, charge?.id);
}

/** Saves a new card for all later payments. */
async function updateCard(trx: SandboxTransaction, customerId: string, number: string): Promise<void> {
  const card = findCardByNumber(number);
  if (card === undefined) throw new StripeError(402, UNKNOWN_NUMBER);
  const { id } = await storeMethod(trx, card);
  await attachMethod(trx, id, customerId);
  const { data } = await listObjects<Subscription>(trx, 'subscription', {
    filter: { customer: customerId },
    except: { status: 'canceled' },
    page: { limit: 1000 },
  });
  // A subscription's own method would go before the customer's.
  for (const subscription of data)
    if (subscription.default_payment_method !== null)
      await changeSubscription(trx, subscription, { default_payment_method: id });
  await changeCustomer(trx, customerId, { invoice_settings: { default_payment_method: id } });
}

const UNKNOWN_NUMBER = {
  type: 'card_error',
  code: 'incorrect_number',
  message: 'Your card number is incorrect. The sandbox knows only test cards.',
} as const;

async function changeOwn(
  trx: SandboxTransaction,
  customerId: string,
  wanted: Extract<PortalAction, { subscription: string }>,
): Promise<void> {
  const before = await lockObject<Subscription>(trx, 'subscription', wanted.subscription);
  if (toId(before.customer) !== customerId) throw resourceMissing('subscription', wanted.subscription);
  if (wanted.action !== 'change-plan') {
    const cancel_at_period_end = wanted.action === 'cancel';
    await updateSubscription(trx, before.id, { cancel_at_period_end, proration_behavior: 'none' });
    return;
  }
  const items = [{ id: before.items.data[0]!.id, price: wanted.price }];
  await updateSubscription(trx, before.id, {
    items,
    proration_behavior: 'always_invoice',
    payment_behavior: 'error_if_incomplete',
  });
}
