import type Stripe from 'stripe';
import { z } from 'zod';
import { AnswerFields, listOf, reference, stripeId, time } from './answer-fields.ts';
import { latestInvoice } from './latest-invoice.ts';
import type { ListedInvoice } from './read-invoices.ts';
import { askStripe } from './stripe.ts';
import type { Subscription } from './subscription-view.ts';

type Disputes = Pick<
  Subscription,
  'hasOpenDispute' | 'closedDisputes' | 'lostDisputeOfCurrentPeriod' | 'lostDisputeAt'
>;

const NONE: Disputes = {
  hasOpenDispute: false,
  closedDisputes: 0,
  lostDisputeOfCurrentPeriod: false,
  lostDisputeAt: null,
};

/** Every other status, also one that is new, counts as open: an open dispute forbids a deletion. */
const CLOSED = ['won', 'lost', 'warning_closed', 'prevented'];
const PERIOD_REASONS: readonly (string | null)[] = ['subscription_create', 'subscription_cycle'];

/**
 * Finds the disputes about a subscription's invoices. Invoices do not say that they are disputed, so this
 * takes one more call, for the customer's charges, and one for each charge that is marked as disputed;
 * without any payment, none. Disputes of the customer's other subscriptions do not count.
 * @throws RetryableError and PermanentError as every call does
 */
export async function readDisputes(
  stripe: Stripe,
  customerId: string,
  invoices: readonly ListedInvoice[],
  oddities: string[],
): Promise<Disputes> {
  if (invoices.every(({ paymentIds }) => paymentIds.length === 0)) return NONE;
  const charges = await askStripe(stripe.charges.list({ customer: customerId, limit: 100 }));
  const disputed = readDisputed(charges, oddities).flatMap((ids) => {
    const invoice = invoices.find(({ paymentIds }) => paymentIds.some((id) => ids.includes(id)));
    return invoice === undefined ? [] : [{ chargeId: ids[0]!, invoice }];
  });
  const current = currentInvoice(invoices);
  const found: { open: boolean; lost: boolean; isCurrent: boolean; createdAt: Date }[] = [];
  for (const { chargeId, invoice } of disputed) {
    const answer = await askStripe(stripe.disputes.list({ charge: chargeId, limit: 100 }));
    for (const item of new AnswerFields('disputes', { answer }, oddities).require('answer', listOf).data) {
      const dispute = new AnswerFields('dispute', item, oddities);
      const status = dispute.read('status', z.string(), '');
      found.push({
        open: !CLOSED.includes(status),
        lost: status === 'lost',
        isCurrent: invoice === current,
        createdAt: dispute.read('created', time, new Date(8.64e15)),
      });
    }
  }
  const lost = found.filter((dispute) => dispute.lost && dispute.isCurrent);
  return {
    hasOpenDispute: found.some(({ open }) => open),
    closedDisputes: found.filter(({ open }) => !open).length,
    lostDisputeOfCurrentPeriod: lost.length > 0,
    lostDisputeAt:
      lost.length === 0 ? null : new Date(Math.min(...lost.map(({ createdAt }) => createdAt.getTime()))),
  };
}

/** Returns the ids of each disputed charge: its own, then its payment intent's. */
function readDisputed(answer: unknown, oddities: string[]): string[][] {
  const charges = new AnswerFields('charges', { answer }, oddities).require('answer', listOf).data;
  return charges.flatMap((item) => {
    const charge = new AnswerFields('charge', item, oddities);
    if (!charge.read('disputed', z.boolean().nullish(), true)) return [];
    const intent = charge.read('payment_intent', reference.nullish(), null);
    return [[charge.require('id', stripeId), ...(intent ? [intent] : [])]];
  });
}

/** The invoice that paid for the current period. */
function currentInvoice(invoices: readonly ListedInvoice[]): ListedInvoice | undefined {
  return latestInvoice(
    invoices.filter(
      ({ status, billingReason }) =>
        status !== 'draft' && status !== 'void' && PERIOD_REASONS.includes(billingReason),
    ),
  );
}
