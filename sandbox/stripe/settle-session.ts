import type { SandboxTransaction } from '../database.ts';
import { invalidRequest } from './errors.ts';
import { emitEvent } from './events.ts';
import { lockObject, saveObject } from './objects.ts';
import { payInvoice } from './pay-invoice.ts';
import { toId } from './subscription-changes.ts';
import type { Session } from './wire.ts';

/** Settles a pending bank debit, which at Stripe takes days. Emits the events for the webhook. */
export async function settleSession(
  trx: SandboxTransaction,
  sessionId: string,
  succeeds: boolean,
): Promise<Session> {
  const session = await lockObject<Session>(trx, 'checkout.session', sessionId);
  if (session.status !== 'complete' || session.payment_status !== 'unpaid' || !session.invoice)
    throw invalidRequest('This Checkout Session has no pending payment.', { param: 'sessionId' });
  const invoiceId = toId(session.invoice);
  if (succeeds) {
    const paid: Session = { ...session, payment_status: 'paid' };
    await saveObject(trx, paid);
    await emitEvent(trx, { type: 'checkout.session.async_payment_succeeded', object: paid });
    await payInvoice(trx, invoiceId, { outcome: 'succeeds' });
    return paid;
  }
  await emitEvent(trx, { type: 'checkout.session.async_payment_failed', object: session });
  await payInvoice(trx, invoiceId, { outcome: 'fails' });
  return session;
}
