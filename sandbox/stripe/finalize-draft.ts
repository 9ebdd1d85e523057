import type { SandboxTransaction } from '../database.ts';
import { type EventCause, emitEvent } from './events.ts';
import { toInvoiceNumber } from './invoice-object.ts';
import { markPaid } from './invoice-payment.ts';
import { saveObject } from './objects.ts';
import { type Invoice, nowSeconds } from './wire.ts';

/**
 * Opens a draft for payment and emits `invoice.finalized`. An invoice of nothing is paid at once; another is
 * not charged by this.
 */
export async function finalizeDraft(
  trx: SandboxTransaction,
  draft: Invoice,
  request?: EventCause,
): Promise<Invoice> {
  const at = nowSeconds();
  const open: Invoice = {
    ...draft,
    automatically_finalizes_at: null,
    effective_at: at,
    next_payment_attempt: null,
    number: toInvoiceNumber(draft.id),
    status: 'open',
    status_transitions: { ...draft.status_transitions, finalized_at: at },
  };
  await saveObject(trx, open);
  await emitEvent(trx, { type: 'invoice.finalized', object: open, ...(request && { request }) });
  return open.amount_remaining === 0 ? markPaid(trx, open, { request }) : open;
}
