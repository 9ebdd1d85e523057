import type { ScriptedStripe } from './scripted-stripe.ts';
import type { StripeModel } from './stripe-model.ts';

type Fields = Record<string, unknown>;

/** A subscription with its invoices, charges and disputes, as Stripe's API answers them. */
export interface WireState {
  subscription: Fields;
  invoices: Fields[];
  charges: Fields[];
  disputes: Fields[];
}

const listOf = (data: Fields[]) => ({ object: 'list', data, has_more: false });
const seconds = (date: Date | null) => (date === null ? null : date.getTime() / 1000);

const REASONS = {
  requested: 'cancellation_requested',
  payment_failed: 'payment_failed',
  payment_disputed: 'payment_disputed',
} as const;

/** Writes down the present state of a model as Stripe tells it. */
export function toWire(model: StripeModel): WireState {
  const view = model.view();
  const { subscriptionId: id } = view;
  const customer = `cus_${id}`;
  const chargeOf = (bill: string) => `ch_${id}_${bill}`;
  return {
    subscription: {
      id,
      object: 'subscription',
      customer,
      status: view.status,
      pause_collection: view.collectionPaused ? { behavior: 'void' } : null,
      cancel_at: seconds(view.cancelAt),
      canceled_at: seconds(view.canceledAt),
      ended_at: seconds(view.endedAt),
      trial_end: seconds(view.trialEnd),
      cancellation_details: { reason: view.cancelReason === undefined ? null : REASONS[view.cancelReason] },
      items: listOf(
        view.items.map(({ priceId, productId, quantity }) => ({
          id: 'si_1',
          price: { id: priceId, product: productId, lookup_key: null },
          quantity,
          current_period_end: seconds(view.periodEnd),
        })),
      ),
      metadata: view.metadata,
      livemode: false,
    },
    invoices: model.allInvoices().map((invoice) => ({
      id: `${id}_${invoice.invoiceId}`,
      object: 'invoice',
      subscription: id,
      customer,
      status: invoice.status,
      created: seconds(invoice.createdAt),
      due_date: seconds(invoice.dueAt),
      amount_due: invoice.amountDue,
      total: invoice.amountDue,
      pre_payment_credit_notes_amount: invoice.credited ? invoice.amountDue : 0,
      amount_remaining: invoice.amountRemaining,
      attempted: invoice.attempted,
      billing_reason: invoice.billingReason,
      period_end: seconds(invoice.periodEnd),
      lines: listOf(invoice.priceIds.map((price) => ({ amount: 1, pricing: { price_details: { price } } }))),
      payments: listOf(
        invoice.paid ? [{ payment: { type: 'charge', charge: chargeOf(invoice.invoiceId) } }] : [],
      ),
    })),
    charges: model.disputes.map(({ bill }) => ({
      id: chargeOf(bill.id),
      object: 'charge',
      customer,
      disputed: true,
    })),
    disputes: model.disputes.map(({ bill, state, at }) => ({
      id: `du_${id}_${bill.id}`,
      object: 'dispute',
      charge: chargeOf(bill.id),
      status: state === 'open' ? 'needs_response' : state,
      created: at / 1000,
    })),
  };
}

/** Makes a scripted Stripe tell exactly this; `undefined`: that it knows nothing. */
export function tellState(stripe: ScriptedStripe, state: WireState | undefined): void {
  stripe.clear();
  if (state === undefined) return;
  stripe.subscriptions.set(String(state.subscription.id), state.subscription);
  stripe.invoices.push(...state.invoices);
  stripe.charges.push(...state.charges);
  stripe.disputes.push(...state.disputes);
}
