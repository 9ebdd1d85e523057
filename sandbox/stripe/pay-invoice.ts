import type { SandboxTransaction } from '../database.ts';
import { type ChargeAnswer, type ChargeOptions, charge } from './charges.ts';
import { invalidRequest } from './errors.ts';
import type { EventCause } from './events.ts';
import { finalizeDraft } from './finalize-draft.ts';
import { markFailed, markPaid } from './invoice-payment.ts';
import { lockObject } from './objects.ts';
import type { Invoice } from './wire.ts';

interface PaymentOptions extends ChargeOptions {
  request?: EventCause | undefined;
}

/** The invoice after a try to pay it, and the refusal if there was one. */
export type Payment = ChargeAnswer & { invoice: Invoice };

/**
 * Tries to pay an invoice that is owed, and a draft after finalizing it. Then it is paid, or has one more
 * failed attempt, with its events; the refused charge is kept.
 * @throws StripeError 400 if it can no longer be paid
 */
export async function payInvoice(
  trx: SandboxTransaction,
  id: string,
  { request, ...options }: PaymentOptions = {},
): Promise<Payment> {
  return tryPayment(trx, await lockPayable(trx, id, request), { request, ...options });
}

/** Pays an open invoice like `payInvoice`. The caller has locked it. */
export async function tryPayment(
  trx: SandboxTransaction,
  invoice: Invoice,
  { request, ...options }: PaymentOptions,
): Promise<Payment> {
  if (invoice.status === 'paid') return { invoice };
  if (invoice.amount_remaining === 0) return { invoice: await markPaid(trx, invoice, { request }) };
  const answer = await charge(trx, invoice, options);
  const mark = answer.decline ? markFailed : markPaid;
  return { ...answer, invoice: await mark(trx, invoice, { request, automatic: false }) };
}

/** Locks an invoice that is owed; a draft is finalized. @throws StripeError 400 if nothing is owed */
export async function lockPayable(
  trx: SandboxTransaction,
  id: string,
  request?: EventCause,
): Promise<Invoice> {
  const invoice = await lockObject<Invoice>(trx, 'invoice', id);
  if (invoice.status === 'paid')
    throw invalidRequest('Invoice is already paid', { code: 'invoice_already_paid' });
  if (invoice.status === 'void') throw invalidRequest('This invoice is void and can no longer be paid.');
  return invoice.status === 'draft' ? finalizeDraft(trx, invoice, request) : invoice;
}
