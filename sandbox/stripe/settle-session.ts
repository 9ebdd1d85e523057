import type { SandboxTransaction } from '../database.ts';
import { chargeInvoice } from './charges.ts';
import { invalidRequest } from './errors.ts';
import { emitEvent } from './events.ts';
import { lockObject, saveObject } from './objects.ts';
import { changeSubscription, toId } from './subscription-changes.ts';
import type { Invoice, Session, Subscription } from './wire.ts';

/** Settles a pending bank debit, which at Stripe takes days. Emits the events for the webhook. */
export async function settleSession(
  trx: SandboxTransaction,
  sessionId: string,
  succeeds: boolean,
): Promise<Session> {
  const session = await lockObject<Session>(trx, 'checkout.session', sessionId);
  if (session.status !== 'complete' || session.payment_status !== 'unpaid' || !session.invoice)
    throw invalidRequest('This Checkout Session has no pending payment.', { param: 'sessionId' });
  const invoice = await lockObject<Invoice>(trx, 'invoice', toId(session.invoice));
  if (succeeds) {
    const paid: Session = { ...session, payment_status: 'paid' };
    await saveObject(trx, paid);
    await emitEvent(trx, { type: 'checkout.session.async_payment_succeeded', object: paid });
    await chargeInvoice(trx, invoice, { outcome: 'succeeds' });
    return paid;
  }
  await emitEvent(trx, { type: 'checkout.session.async_payment_failed', object: session });
  await chargeInvoice(trx, invoice, { outcome: 'fails' });
  const subscriptionId = toId(session.subscription ?? '');
  const subscription = await lockObject<Subscription>(trx, 'subscription', subscriptionId);
  await changeSubscription(trx, subscription, { status: 'past_due' });
  return session;
}
