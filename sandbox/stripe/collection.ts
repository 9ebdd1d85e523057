import type { SandboxTransaction } from '../database.ts';
import { chargeInvoice } from './charges.ts';
import { followFailure } from './dunning-end.ts';
import { emitEvent } from './events.ts';
import type { InvoiceHidden } from './fail-next-invoice.ts';
import { finalizeDraft } from './finalize-draft.ts';
import { markFailed, markPaid, markUncollectible, voidInvoice } from './invoice-payment.ts';
import { readObject } from './objects.ts';
import { toId } from './subscription-changes.ts';
import type { Invoice, Subscription } from './wire.ts';

/**
 * Does what is due on an invoice: finalizes a draft, and tries to collect an open one. `hidden` is the
 * invoice's own hidden data.
 */
export async function collectInvoice(
  trx: SandboxTransaction,
  invoice: Invoice,
  hidden: InvoiceHidden | null = null,
): Promise<void> {
  const open = invoice.status === 'draft' ? await finalizeDraft(trx, invoice) : invoice;
  if (open.status === 'paid') return announcePayment(trx, open);
  const pause = invoice.status === 'draft' ? await readPause(trx, open) : undefined;
  if (pause === 'void') await voidInvoice(trx, open);
  else if (pause === 'mark_uncollectible') await markUncollectible(trx, open);
  else await attempt(trx, open, hidden);
}

async function attempt(trx: SandboxTransaction, open: Invoice, hidden: InvoiceHidden | null): Promise<void> {
  const outcome = await chargeInvoice(trx, open, hidden?.retriesFail ? { outcome: 'fails' } : {});
  if (outcome === 'failed') await followFailure(trx, await markFailed(trx, open));
  else await announcePayment(trx, await markPaid(trx, open, { automatic: true }));
}

/** Stripe sends this beside `invoice.paid` for every payment that is not out of band. */
async function announcePayment(trx: SandboxTransaction, invoice: Invoice): Promise<void> {
  await emitEvent(trx, { type: 'invoice.payment_succeeded', object: invoice });
}

async function readPause(trx: SandboxTransaction, invoice: Invoice) {
  const id = invoice.parent?.subscription_details?.subscription;
  if (!id) return undefined;
  const { pause_collection } = await readObject<Subscription>(trx, 'subscription', toId(id));
  return pause_collection?.behavior;
}
