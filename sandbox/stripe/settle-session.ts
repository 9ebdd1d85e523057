import type { Queryable } from '../database.ts';
import { invalidRequest } from './errors.ts';
import { emitEvent } from './events.ts';
import { payInvoice } from './invoices.ts';
import { readObject, saveObject } from './objects.ts';
import { changeSubscription, idOf } from './subscription-changes.ts';
import type { Invoice, Session, Subscription } from './wire.ts';

/** The bank says, days later, whether a payment that was under way succeeded; the events tell the webhook. */
export async function settleSession(db: Queryable, sessionId: string, succeeds: boolean): Promise<Session> {
  const session = await readObject<Session>(db, 'checkout.session', sessionId, { lock: true });
  if (session.status !== 'complete' || session.payment_status !== 'unpaid' || !session.invoice)
    throw invalidRequest('No payment of this Checkout Session is under way.', { param: 'sessionId' });
  const invoiceId = idOf(session.invoice);
  if (succeeds) {
    const paid: Session = { ...session, payment_status: 'paid' };
    await saveObject(db, paid);
    await emitEvent(db, { type: 'checkout.session.async_payment_succeeded', object: paid });
    await payInvoice(db, invoiceId);
    return paid;
  }
  await emitEvent(db, { type: 'checkout.session.async_payment_failed', object: session });
  const invoice = await readObject<Invoice>(db, 'invoice', invoiceId);
  await emitEvent(db, { type: 'invoice.payment_failed', object: invoice });
  const subscriptionId = idOf(session.subscription ?? '');
  const subscription = await readObject<Subscription>(db, 'subscription', subscriptionId, { lock: true });
  await changeSubscription(db, subscription, { status: 'past_due' });
  return session;
}
