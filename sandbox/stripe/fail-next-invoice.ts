import type { SandboxTransaction } from '../database.ts';
import { invalidRequest } from './errors.ts';
import { createInvoice } from './invoices.ts';
import { lockObject } from './objects.ts';
import { tryPayment } from './pay-invoice.ts';
import { changeSubscription } from './subscription-changes.ts';
import type { Invoice, Subscription } from './wire.ts';

/** Fails the next period's payment: leaves an open invoice and a past-due subscription, with their events. */
export async function failNextInvoice(trx: SandboxTransaction, subscriptionId: string): Promise<Invoice> {
  const subscription = await lockObject<Subscription>(trx, 'subscription', subscriptionId);
  if (subscription.status === 'canceled')
    throw invalidRequest('A canceled subscription has no further invoices.', { param: 'subscriptionId' });
  const created = await createInvoice(trx, subscription, { reason: 'subscription_cycle', bills: 'period' });
  await changeSubscription(trx, subscription, { latest_invoice: created.id });
  // A balance that covers the whole invoice pays it: nothing is left to fail.
  return (await tryPayment(trx, created, { outcome: 'fails' })).invoice;
}
