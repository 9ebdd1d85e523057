import type Stripe from 'stripe';
import {
  type LineItem,
  newId,
  nowSeconds,
  type Price,
  type Subscription,
  toList,
  type Wire,
} from './wire.ts';

/** Builds an active subscription whose first period begins now. */
export function newSubscription({
  customerId,
  lineItems,
  metadata,
  description,
}: {
  customerId: string;
  lineItems: LineItem[];
  metadata: Record<string, string>;
  description?: string;
}): Subscription {
  const id = newId('sub');
  const created = nowSeconds();
  const items = lineItems.map((item) => newSubscriptionItem(id, item, created));
  return {
    ...CONSTANT_FIELDS,
    id,
    billing_cycle_anchor: created,
    created,
    currency: lineItems[0]!.currency,
    customer: customerId,
    description: description ?? lineItems[0]!.description,
    items: toList(`/v1/subscription_items?subscription=${id}`, items),
    metadata,
    start_date: created,
    status: 'active',
  };
}

/** Builds a subscription item whose period begins at `start`, in Unix seconds. */
export function newSubscriptionItem(
  subscriptionId: string,
  { price: maybePrice, quantity }: Pick<LineItem, 'price' | 'quantity'>,
  start: number,
): Wire<Stripe.SubscriptionItem> {
  const price = maybePrice!;
  return {
    id: newId('si', 14),
    object: 'subscription_item',
    billing_thresholds: null,
    created: start,
    current_period_end: toPeriodEnd(price, start),
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

/** Returns the end of a period that begins at `start`, in Unix seconds. */
export function toPeriodEnd({ recurring }: Price, start: number): number {
  const end = new Date(start * 1000);
  const count = recurring?.interval_count ?? 1;
  if (recurring?.interval === 'day') end.setUTCDate(end.getUTCDate() + count);
  else if (recurring?.interval === 'week') end.setUTCDate(end.getUTCDate() + 7 * count);
  else if (recurring?.interval === 'year') end.setUTCFullYear(end.getUTCFullYear() + count);
  else end.setUTCMonth(end.getUTCMonth() + count);
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
  test_clock: null,
  transfer_data: null,
  trial_end: null,
  trial_settings: { end_behavior: { billing_cycle_anchor: null, missing_payment_method: 'create_invoice' } },
  trial_start: null,
} satisfies Partial<Subscription>;
