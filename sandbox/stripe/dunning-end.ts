import type { SandboxTransaction } from '../database.ts';
import { readDunning } from './dunning.ts';
import { markUncollectible } from './invoice-payment.ts';
import { lockObject } from './objects.ts';
import { changeSubscription, endSubscription, toId } from './subscription-changes.ts';
import type { Invoice, Subscription } from './wire.ts';

/**
 * Draws the consequence of a failed attempt by the schedule, after which the subscription is past due: if it
 * was the last one, the account's settings say what becomes of the subscription.
 */
export async function followFailure(trx: SandboxTransaction, invoice: Invoice): Promise<void> {
  const id = invoice.parent?.subscription_details?.subscription;
  if (!id || invoice.next_payment_attempt !== null) return;
  const dunning = await readDunning(trx);
  // First the invoice: a subscription whose newest invoice is not owed any more recovers.
  if (dunning.invoice === 'mark_uncollectible') await markUncollectible(trx, invoice);
  const subscription = await lockObject<Subscription>(trx, 'subscription', toId(id));
  if (subscription.status !== 'active' && subscription.status !== 'past_due') return;
  if (dunning.subscription === 'cancel')
    await endSubscription(trx, subscription, { reason: 'payment_failed' });
  else
    await changeSubscription(trx, subscription, {
      status: dunning.subscription === 'mark_unpaid' ? 'unpaid' : 'past_due',
    });
}
