import { z } from 'zod';
import { AnswerFields, optionalTime, reference, stripeId } from './answer-fields.ts';
import {
  type CancelReason,
  SUBSCRIPTION_STATUSES,
  type SubscriptionItem,
  type SubscriptionSummary,
} from './subscription-view.ts';

const status = z.enum(SUBSCRIPTION_STATUSES).exclude(['unrecognized']);
const metadata = z.record(z.string(), z.string());
const quantity = z.int().min(0).nullish();

const CANCEL_REASONS: Readonly<Record<string, CancelReason>> = {
  cancellation_requested: 'requested',
  canceled_by_retention_policy: 'requested',
  payment_failed: 'payment_failed',
  payment_disputed: 'payment_disputed',
};

/**
 * Reads a subscription without its invoices. Since API version 2025-03-31 the period stands on the items;
 * both forms are read.
 * @throws RetryableError if not even id and customer can be read
 */
export function readSummary(answer: unknown): SubscriptionSummary {
  const fields = new AnswerFields('subscription', answer);
  const items = fields.list('items').map((item) => new AnswerFields('item', item, fields.oddities));
  const periodEnd = latestOf([
    ...items.map((item) => item.read('current_period_end', optionalTime, null)),
    fields.read('current_period_end', optionalTime, null),
  ]);
  const atPeriodEnd = fields.read('cancel_at_period_end', z.boolean().nullish(), false) === true;
  const reason = fields.read('cancellation_details.reason', z.string().nullish(), null) ?? '';
  return {
    subscriptionId: fields.require('id', stripeId),
    customerId: fields.require('customer', reference),
    status: fields.read<SubscriptionSummary['status']>('status', status, 'unrecognized'),
    collectionPaused: fields.read('pause_collection', z.object({}).nullish(), {}) != null,
    cancelAt: fields.read('cancel_at', optionalTime, null) ?? (atPeriodEnd ? periodEnd : null),
    canceledAt: fields.read('canceled_at', optionalTime, null),
    cancelReason: Object.hasOwn(CANCEL_REASONS, reason) ? CANCEL_REASONS[reason] : undefined,
    endedAt: fields.read('ended_at', optionalTime, null),
    trialEnd: fields.read('trial_end', optionalTime, null),
    periodEnd,
    items: items.flatMap(readItem),
    metadata: fields.read('metadata', metadata, {}),
    livemode: fields.read('livemode', z.boolean(), false),
    oddities: fields.oddities,
  };
}

function readItem(item: AnswerFields): SubscriptionItem[] {
  const priceId = item.read('price.id', stripeId, '');
  if (priceId === '') return [];
  return [
    {
      priceId,
      lookupKey: item.read('price.lookup_key', z.string().nullish(), null) ?? null,
      productId: item.read('price.product', reference, ''),
      quantity: item.read('quantity', quantity, 1) ?? 1,
    },
  ];
}

function latestOf(dates: readonly (Date | null)[]): Date | null {
  const times = dates.filter((date) => date !== null).map((date) => date.getTime());
  return times.length === 0 ? null : new Date(Math.max(...times));
}
