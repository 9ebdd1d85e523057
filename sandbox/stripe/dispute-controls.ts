import { z } from 'zod';
import type { SandboxTransaction } from '../database.ts';
import { openDispute } from './disputes.ts';
import { invalidRequest } from './errors.ts';
import { findPaidCharge } from './invoice-payments.ts';
import { listObjects, readObject } from './objects.ts';
import type { Charge, Dispute, Invoice } from './wire.ts';

/** Names the charge to dispute: itself, by its invoice, or as a subscription's newest paid one. */
export const disputeSchema = z
  .object({
    chargeId: z.string().min(1).optional(),
    invoiceId: z.string().min(1).optional(),
    subscriptionId: z.string().min(1).optional(),
    reason: z
      .enum(['fraudulent', 'general', 'product_not_received', 'subscription_canceled', 'unrecognized'])
      .default('fraudulent'),
  })
  .refine(
    ({ chargeId, invoiceId, subscriptionId }) =>
      [chargeId, invoiceId, subscriptionId].filter((id) => id !== undefined).length === 1,
    'name one of chargeId, invoiceId, subscriptionId',
  );

export const decisionSchema = z.object({ outcome: z.enum(['lost', 'won']) });

/** Disputes a charge as a customer's bank does. @throws StripeError if there is none */
export async function disputeByControl(
  trx: SandboxTransaction,
  { chargeId, invoiceId, subscriptionId, reason }: z.output<typeof disputeSchema>,
): Promise<Dispute> {
  const id = chargeId ?? (await findPaidCharge(trx, await findInvoice(trx, invoiceId, subscriptionId)));
  if (id === undefined) throw invalidRequest('No charge has paid this invoice.', { param: 'invoiceId' });
  return openDispute(trx, await readObject<Charge>(trx, 'charge', id), { reason });
}

async function findInvoice(
  trx: SandboxTransaction,
  invoiceId: string | undefined,
  subscription: string | undefined,
): Promise<Invoice> {
  if (invoiceId !== undefined) return readObject<Invoice>(trx, 'invoice', invoiceId);
  const { data } = await listObjects<Invoice>(trx, 'invoice', {
    filter: { status: 'paid', parent: { subscription_details: { subscription } } },
    page: { limit: 1 },
  });
  if (data[0]) return data[0];
  throw invalidRequest('This subscription has no paid invoice.', { param: 'subscriptionId' });
}
