import type Stripe from 'stripe';
import {
  currentTestClock,
  type LineItem,
  newId,
  nowSeconds,
  type Price,
  type Subscription,
  toList,
  type Wire,
} from './wire.ts';

/**
 * Builds an active subscription whose first period begins now, or one on trial until `trialEnd`, in Unix
 * seconds: then the trial is its first period.
 */
export function newSubscription({
  customerId,
  lineItems,
  metadata,
  description,
  trialEnd,
}: {
  customerId: string;
  lineItems: Pick<LineItem, 'price' | 'quantity' | 'description'>[];
  metadata: Record<string, string>;
  description?: string | undefined;
  trialEnd?: number | undefined;
}): Subscription {
  const id = newId('sub');
  const created = nowSeconds();
  const items = lineItems.map((item) => newSubscriptionItem(id, item, created, trialEnd));
  return {
    ...CONSTANT_FIELDS,
    id,
    billing_cycle_anchor: trialEnd ?? created,
    created,
    currency: items[0]!.price.currency,
    customer: customerId,
    description: description ?? lineItems[0]!.description,
    items: toList(`/v1/subscription_items?subscription=${id}`, items),
    metadata,
    start_date: created,
    status: trialEnd === undefined ? 'active' : 'trialing',
    test_clock: currentTestClock(),
    trial_end: trialEnd ?? null,
    trial_start: trialEnd === undefined ? null : created,
  };
}

/** Builds a subscription item whose period begins at `start` and ends with the interval, or at `end`. */
export function newSubscriptionItem(
  subscriptionId: string,
  { price: maybePrice, quantity }: Pick<LineItem, 'price' | 'quantity'>,
  start: number,
  end?: number,
): Wire<Stripe.SubscriptionItem> {
  const price = maybePrice!;
  return {
    id: newId('si', 14),
    object: 'subscription_item',
    billing_thresholds: null,
    created: start,
    current_period_end: end ?? toPeriodEnd(price, start),
    current_period_start: start,
    current_trial: null,
    discounts: [],
    metadata: {},
    plan: toPlan(price),
    price,
    quantity: quantity ?? 1,
    subscription: subscriptionId,
    tax_rates: [],
  };
}

const DAY_SECONDS = 24 * 3600;

/**
 * Returns the end of a period that begins at `start`, in Unix seconds. A cycle that is anchored on the 31st
 * ends on the last day of a shorter month, and on the 31st again in the next longer one.
 */
export function toPeriodEnd({ recurring }: Price, start: number, anchor: number = start): number {
  const count = recurring?.interval_count ?? 1;
  if (recurring?.interval === 'day') return start + count * DAY_SECONDS;
  if (recurring?.interval === 'week') return start + 7 * count * DAY_SECONDS;
  const end = new Date(start * 1000);
  const months = recurring?.interval === 'year' ? 12 * count : count;
  const month = end.getUTCFullYear() * 12 + end.getUTCMonth() + months;
  const year = Math.floor(month / 12);
  const lastDay = new Date(Date.UTC(year, (month % 12) + 1, 0)).getUTCDate();
  end.setUTCFullYear(year, month % 12, Math.min(new Date(anchor * 1000).getUTCDate(), lastDay));
  return Math.floor(end.getTime() / 1000);
}

/** Returns the older form of a price, which subscription items still carry beside it. */
export function toPlan(price: Price): Wire<Stripe.Plan> {
  return {
    id: price.id,
    object: 'plan',
    active: price.active,
    amount: price.unit_amount,
    amount_decimal: price.unit_amount_decimal,
    billing_scheme: price.billing_scheme,
    created: price.created,
    currency: price.currency,
    interval: price.recurring?.interval ?? 'month',
    interval_count: price.recurring?.interval_count ?? 1,
    livemode: false,
    metadata: price.metadata,
    meter: null,
    nickname: price.nickname,
    product: price.product,
    tiers_mode: null,
    transform_usage: null,
    trial_period_days: null,
    usage_type: 'licensed',
  };
}

/** Fields with the same value in every new subscription of the sandbox. */
const CONSTANT_FIELDS = {
  object: 'subscription',
  application: null,
  application_fee_percent: null,
  automatic_tax: { disabled_reason: null, enabled: false, liability: null },
  billing_cycle_anchor_config: null,
  billing_mode: { flexible: null, type: 'classic' },
  billing_schedules: [],
  billing_thresholds: null,
  cancel_at: null,
  cancel_at_period_end: false,
  canceled_at: null,
  cancellation_details: { comment: null, feedback: null, feedback_option: null, reason: null },
  collection_method: 'charge_automatically',
  customer_account: null,
  days_until_due: null,
  default_payment_method: null,
  default_source: null,
  default_tax_rates: [],
  discounts: [],
  ended_at: null,
  invoice_settings: {
    account_tax_ids: null,
    custom_fields: null,
    description: null,
    footer: null,
    issuer: { type: 'self' },
  },
  latest_invoice: null,
  livemode: false,
  managed_payments: null,
  next_pending_invoice_item_invoice: null,
  on_behalf_of: null,
  pause_collection: null,
  payment_settings: {
    payment_method_options: null,
    payment_method_types: null,
    save_default_payment_method: 'off',
  },
  pending_invoice_item_interval: null,
  pending_setup_intent: null,
  pending_update: null,
  schedule: null,
  transfer_data: null,
  trial_settings: { end_behavior: { billing_cycle_anchor: null, missing_payment_method: 'create_invoice' } },
} satisfies Partial<Subscription>;
