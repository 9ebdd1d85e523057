import type { SandboxTransaction } from '../database.ts';
import { invalidRequest } from './errors.ts';
import { createInvoice } from './invoices.ts';
import { lockObject, saveHidden } from './objects.ts';
import { tryPayment } from './pay-invoice.ts';
import { changeSubscription } from './subscription-changes.ts';
import type { Invoice, Subscription } from './wire.ts';

/** Data of an invoice that its object does not show. */
export interface InvoiceHidden {
  /** Every retry fails too, whatever the card. */
  retriesFail?: boolean;
}

/**
 * Fails the next period's payment: leaves an open invoice and a past-due subscription, with their events. The
 * retries fail too, until the invoice is paid by request.
 */
export async function failNextInvoice(trx: SandboxTransaction, subscriptionId: string): Promise<Invoice> {
  const subscription = await lockObject<Subscription>(trx, 'subscription', subscriptionId);
  if (subscription.status === 'canceled')
    throw invalidRequest('A canceled subscription has no further invoices.', { param: 'subscriptionId' });
  const created = await createInvoice(trx, subscription, { reason: 'subscription_cycle', bills: 'period' });
  await changeSubscription(trx, subscription, { latest_invoice: created.id });
  const hidden: InvoiceHidden = { retriesFail: true };
  await saveHidden(trx, created.id, hidden);
  // A balance that covers the whole invoice pays it: nothing is left to fail.
  return (await tryPayment(trx, created, { outcome: 'fails' })).invoice;
}
