import { z } from 'zod';
import type { SandboxTransaction } from '../database.ts';
import { type CreditShares, newCreditNote } from './credit-note-object.ts';
import { changeBalance } from './customer-balance.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest, resourceMissing } from './errors.ts';
import { type EventCause, emitEvent } from './events.ts';
import { markPaid } from './invoice-payment.ts';
import { findPaidCharge } from './invoice-payments.ts';
import { insertObject, lockObject, readObject, saveObject } from './objects.ts';
import { changeMetadata, integer, metadata, metadataChange, text } from './parameters.ts';
import { refundCharge } from './refunds.ts';
import { equals, mountResource, type Resource } from './resource.ts';
import { toId } from './subscription-changes.ts';
import { type CreditNote, type Invoice, nowSeconds } from './wire.ts';

export const creditNotes: Resource<CreditNote> = {
  object: 'credit_note',
  path: '/credit_notes',
  filters: { customer: equals(text, 'customer'), invoice: equals(text, 'invoice') },
  expandable: {
    customer: 'customer',
    customer_balance_transaction: 'customer_balance_transaction',
    invoice: 'invoice',
  },
};

const positive = integer.pipe(z.number().min(0));

const parameters = {
  invoice: text,
  amount: integer.pipe(z.number().min(1)),
  credit_amount: positive.optional(),
  out_of_band_amount: positive.optional(),
  refund_amount: positive.optional(),
  memo: text.optional(),
  metadata,
  reason: z.enum(['duplicate', 'fraudulent', 'order_change', 'product_unsatisfactory']).optional(),
};

type Input = z.output<z.ZodObject<typeof parameters>>;

export function mountCreditNotes(endpoints: Endpoints): void {
  mountResource(endpoints, creditNotes);
  endpoints.post('/credit_notes', { answers: 'credit_note', parameters }, (trx, { input, request }) =>
    createCreditNote(trx, input, request),
  );
  const updated = {
    answers: 'credit_note',
    parameters: { memo: text.optional(), metadata: metadataChange },
  };
  endpoints.post('/credit_notes/:id', updated, async (trx, { id, input }) => {
    const before = await lockObject<CreditNote>(trx, 'credit_note', id);
    const { memo = before.memo } = input;
    const kept = changeMetadata(before.metadata ?? {}, input.metadata);
    const after: CreditNote = { ...before, memo, metadata: kept };
    await saveObject(trx, after);
    return after;
  });
  const voided = { answers: 'credit_note', parameters: {} };
  endpoints.post('/credit_notes/:id/void', voided, (trx, { id, request }) =>
    voidCreditNote(trx, id, request),
  );
}

/**
 * Credits an invoice and emits `credit_note.created`. What is still owed becomes less, and an invoice that
 * comes to zero by it is paid. What was paid is given back as the amounts say.
 */
async function createCreditNote(
  trx: SandboxTransaction,
  input: Input,
  request: EventCause,
): Promise<CreditNote> {
  await readObject<Invoice>(trx, 'invoice', input.invoice, 'invoice');
  const invoice = await lockObject<Invoice>(trx, 'invoice', input.invoice);
  const shares = divide(invoice, input);
  const { memo = null, metadata, reason = null } = input;
  const note = newCreditNote(invoice, shares, { memo, metadata, reason });
  const made: CreditNote = { ...note, ...(await giveBack(trx, invoice, note, shares, request)) };
  await insertObject(trx, made);
  await emitEvent(trx, { type: 'credit_note.created', object: made, request });
  const credited: Invoice = {
    ...invoice,
    amount_due: invoice.amount_due - shares.owed,
    amount_remaining: invoice.amount_remaining - shares.owed,
    post_payment_credit_notes_amount: invoice.post_payment_credit_notes_amount + made.post_payment_amount,
    pre_payment_credit_notes_amount: invoice.pre_payment_credit_notes_amount + shares.owed,
  };
  await saveObject(trx, credited);
  if (shares.owed > 0 && credited.amount_remaining === 0) await markPaid(trx, credited, { request });
  return made;
}

function divide(invoice: Invoice, input: Input): CreditShares {
  const {
    amount,
    credit_amount: credit = 0,
    out_of_band_amount: outOfBand = 0,
    refund_amount: refund = 0,
  } = input;
  if (invoice.status !== 'open' && invoice.status !== 'paid' && invoice.status !== 'uncollectible')
    throw invalidRequest(`A credit note cannot be created for an invoice that is ${invoice.status}.`, {
      param: 'invoice',
    });
  const owed = Math.min(amount, invoice.amount_remaining);
  const creditable = invoice.amount_paid - invoice.post_payment_credit_notes_amount;
  if (amount - owed > creditable)
    throw invalidRequest(
      `The amount of the credit note (${amount}) is greater than the creditable amount (${owed + creditable}).`,
      { param: 'amount' },
    );
  if (credit + outOfBand + refund !== amount - owed)
    throw invalidRequest(
      'The sum of credit amount, refund amount and out of band amount must equal the post-payment amount of the credit note.',
      { param: 'amount' },
    );
  return { owed, refund, credit, outOfBand };
}

/** Refunds and credits what was paid. @returns the links of the credit note to them */
async function giveBack(
  trx: SandboxTransaction,
  invoice: Invoice,
  { id, customer, currency }: CreditNote,
  { refund, credit }: CreditShares,
  request: EventCause,
): Promise<Partial<CreditNote>> {
  const links: Partial<CreditNote> = {};
  if (refund > 0) {
    const charge = await findPaidCharge(trx, invoice);
    if (charge === undefined)
      throw invalidRequest('No charge has paid this invoice.', { param: 'refund_amount' });
    const made = await refundCharge(trx, charge, { amount: refund }, request);
    links.refunds = [
      { amount_refunded: refund, payment_record_refund: null, refund: made.id, type: 'refund' },
    ];
  }
  if (credit > 0) {
    const change = { amount: -credit, currency, type: 'credit_note' as const, creditNote: id };
    links.customer_balance_transaction = (await changeBalance(trx, toId(customer), change)).id;
  }
  return links;
}

/** Voids the credit note of an invoice that is still owed: what was taken off is owed again. */
async function voidCreditNote(trx: SandboxTransaction, id: string, request: EventCause): Promise<CreditNote> {
  const before = await lockObject<CreditNote>(trx, 'credit_note', id);
  if (before.status === 'void') throw resourceMissing('credit_note', id);
  const invoice = await lockObject<Invoice>(trx, 'invoice', toId(before.invoice));
  if (invoice.status !== 'open' || before.post_payment_amount > 0)
    throw invalidRequest('You can only void a credit note of an open invoice.');
  const owed: Invoice = {
    ...invoice,
    amount_due: invoice.amount_due + before.amount,
    amount_remaining: invoice.amount_remaining + before.amount,
    pre_payment_credit_notes_amount: invoice.pre_payment_credit_notes_amount - before.amount,
  };
  await saveObject(trx, owed);
  const voided: CreditNote = { ...before, status: 'void', voided_at: nowSeconds() };
  await saveObject(trx, voided);
  await emitEvent(trx, { type: 'credit_note.voided', object: voided, request });
  return voided;
}
