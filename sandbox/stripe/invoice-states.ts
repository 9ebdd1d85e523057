import { type Customer, type Invoice, nowSeconds } from './wire.ts';

/** Returns a draft as it is once finalized. It uses up, or settles, the customer's balance first. */
export function toFinalized(draft: Invoice, { balance }: Customer): Invoice {
  const now = nowSeconds();
  const due = Math.max(0, draft.total + balance);
  return {
    ...draft,
    amount_due: due,
    amount_remaining: due,
    automatically_finalizes_at: null,
    effective_at: now,
    ending_balance: Math.min(0, draft.total + balance),
    next_payment_attempt: null,
    number: `SANDBOX-${draft.id.slice(-8).toUpperCase()}`,
    starting_balance: balance,
    status: 'open',
    status_transitions: { ...draft.status_transitions, finalized_at: now },
  };
}

/** Returns an invoice as it is once paid. */
export function toPaid(invoice: Invoice): Invoice {
  return {
    ...invoice,
    amount_paid: invoice.amount_due,
    amount_remaining: 0,
    attempted: true,
    auto_advance: false,
    next_payment_attempt: null,
    status: 'paid',
    status_transitions: { ...invoice.status_transitions, paid_at: nowSeconds() },
  };
}
