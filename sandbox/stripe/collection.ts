import type { SandboxTransaction } from '../database.ts';
import { chargeInvoice } from './charges.ts';
import {
  type InvoiceHidden,
  markFailed,
  markPaid,
  markUncollectible,
  voidInvoice,
} from './invoice-payment.ts';
import { finalizeInvoice } from './invoices.ts';
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
): Promise<Invoice> {
  if (invoice.status !== 'draft') return attempt(trx, invoice, hidden);
  const open = await finalizeInvoice(trx, invoice);
  const pause = await readPause(trx, open);
  if (pause === 'void') return voidInvoice(trx, open);
  if (pause === 'mark_uncollectible') return markUncollectible(trx, open);
  return attempt(trx, open, hidden);
}

/** Nothing is charged for an invoice that a balance or a price of zero has paid. */
async function attempt(
  trx: SandboxTransaction,
  invoice: Invoice,
  hidden: InvoiceHidden | null,
): Promise<Invoice> {
  if (invoice.amount_remaining === 0) return markPaid(trx, invoice);
  const outcome = hidden?.retriesFail ? 'failed' : await chargeInvoice(trx, invoice);
  if (outcome === 'failed') return markFailed(trx, invoice);
  return markPaid(trx, invoice, { automatic: true });
}

async function readPause(trx: SandboxTransaction, invoice: Invoice) {
  const id = invoice.parent?.subscription_details?.subscription;
  if (!id) return undefined;
  const { pause_collection } = await readObject<Subscription>(trx, 'subscription', toId(id));
  return pause_collection?.behavior;
}
