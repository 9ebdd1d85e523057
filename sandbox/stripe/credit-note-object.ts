import { toId } from './subscription-changes.ts';
import { type CreditNote, type Invoice, newId, nowSeconds, toList } from './wire.ts';

/** How a credit note is divided, in the smallest currency unit. */
export interface CreditShares {
  /** Taken off what is still owed. */
  owed: number;
  /** Given back for what was paid. */
  refund: number;
  credit: number;
  outOfBand: number;
}

export interface CreditNoteNames {
  memo: string | null;
  metadata: Record<string, string>;
  reason: CreditNote['reason'];
}

/** Builds a credit note of one line. */
export function newCreditNote(
  invoice: Invoice,
  shares: CreditShares,
  { memo, metadata, reason }: CreditNoteNames,
): CreditNote {
  const id = newId('cn');
  const given = shares.refund + shares.credit + shares.outOfBand;
  const amount = shares.owed + given;
  const created = nowSeconds();
  return {
    ...CONSTANT_FIELDS,
    id,
    amount,
    created,
    currency: invoice.currency,
    customer: toId(invoice.customer ?? ''),
    effective_at: created,
    invoice: invoice.id,
    lines: toList(`/v1/credit_notes/${id}/lines`, [newLine(amount)]),
    memo,
    metadata,
    number: `${invoice.number}-CN-${id.slice(-6).toUpperCase()}`,
    out_of_band_amount: shares.outOfBand || null,
    post_payment_amount: given,
    pre_payment_amount: shares.owed,
    reason,
    subtotal: amount,
    subtotal_excluding_tax: amount,
    total: amount,
    total_excluding_tax: amount,
    type: given === 0 ? 'pre_payment' : shares.owed === 0 ? 'post_payment' : 'mixed',
  };
}

function newLine(amount: number): CreditNote['lines']['data'][number] {
  return {
    id: newId('cnli'),
    object: 'credit_note_line_item',
    amount,
    description: 'Credit',
    discount_amount: 0,
    discount_amounts: [],
    livemode: false,
    metadata: {},
    pretax_credit_amounts: [],
    quantity: 1,
    tax_rates: [],
    taxes: [],
    type: 'custom_line_item',
    unit_amount: amount,
    unit_amount_decimal: String(amount),
  };
}

/** Fields with the same value in every new credit note of the sandbox. */
const CONSTANT_FIELDS = {
  object: 'credit_note',
  amount_shipping: 0,
  customer_account: null,
  customer_balance_transaction: null,
  discount_amount: 0,
  discount_amounts: [],
  livemode: false,
  pdf: '',
  pretax_credit_amounts: [],
  refunds: [],
  shipping_cost: null,
  status: 'issued',
  total_taxes: [],
  voided_at: null,
} satisfies Partial<CreditNote>;
