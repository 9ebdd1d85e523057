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

/** About single payments; each is a call. A subscription's latest invoices have far fewer. */
const MOST_PAYMENTS = 100;
const PAGE = 100;

/**
 * Finds the disputes about a subscription's invoices. Invoices do not say that they are disputed, so this
 * takes one more call, for the customer's latest charges, and one for each of them that is marked as
 * disputed; without any payment, none. A customer with many agents has more charges than one call lists: then
 * each payment that is not among them is asked about by itself. What cannot be asked about counts as an open
 * dispute. Disputes of the customer's other subscriptions do not count.
 * @throws RetryableError and PermanentError as every call does
 */
export async function readDisputes(
  stripe: Stripe,
  customerId: string,
  invoices: readonly ListedInvoice[],
  oddities: string[],
): Promise<Disputes> {
  if (invoices.every(({ paymentIds }) => paymentIds.length === 0)) return NONE;
  const answer = await askStripe(stripe.charges.list({ customer: customerId, limit: PAGE }));
  const { questions, isComplete } = planQuestions(readCharges(answer, oddities), invoices);
  if (!isComplete) oddities.push('payments: too many to ask of each whether it is disputed');
  const current = currentInvoice(invoices);
  const found: { open: boolean; lost: boolean; isCurrent: boolean; createdAt: Date }[] = [];
  for (const { of, invoice } of questions) {
    const answer = await askStripe(stripe.disputes.list({ ...of, limit: PAGE }));
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
    hasOpenDispute: !isComplete || found.some(({ open }) => open),
    closedDisputes: found.filter(({ open }) => !open).length,
    lostDisputeOfCurrentPeriod: lost.length > 0,
    lostDisputeAt:
      lost.length === 0 ? null : new Date(Math.min(...lost.map(({ createdAt }) => createdAt.getTime()))),
  };
}

interface Charge {
  /** Its own id, then its payment intent's. */
  ids: string[];
  isDisputed: boolean;
}

/** Reads the customer's latest charges; `isAll`: whether there are no others. */
function readCharges(answer: unknown, oddities: string[]): { charges: Charge[]; isAll: boolean } {
  const list = new AnswerFields('charges', { answer }, oddities).require('answer', listOf);
  const charges = list.data.map((item) => {
    const charge = new AnswerFields('charge', item, oddities);
    const isDisputed = charge.read('disputed', z.boolean().nullish(), true) ?? false;
    const intent = charge.read('payment_intent', reference.nullish(), null);
    return { ids: [charge.require('id', stripeId), ...(intent ? [intent] : [])], isDisputed };
  });
  return { charges, isAll: list.has_more !== true };
}

interface Question {
  of: { charge: string } | { payment_intent: string };
  invoice: ListedInvoice;
}

/** Which disputes to ask for; `isComplete`: whether the answers are all that there can be. */
function planQuestions(
  { charges, isAll }: ReturnType<typeof readCharges>,
  invoices: readonly ListedInvoice[],
): { questions: Question[]; isComplete: boolean } {
  const disputed: Question[] = charges.flatMap(({ ids, isDisputed }) => {
    const invoice = invoices.find(({ paymentIds }) => paymentIds.some((id) => ids.includes(id)));
    return isDisputed && invoice !== undefined ? [{ of: { charge: ids[0]! }, invoice }] : [];
  });
  if (isAll) return { questions: disputed, isComplete: true };
  const listed = new Set(charges.flatMap(({ ids }) => ids));
  const older = invoices.flatMap((invoice) =>
    invoice.paymentIds
      .filter((id) => !listed.has(id))
      .map((id) => ({ of: id.startsWith('pi_') ? { payment_intent: id } : { charge: id }, invoice })),
  );
  return {
    questions: [...disputed, ...older.slice(0, MOST_PAYMENTS)],
    isComplete: older.length <= MOST_PAYMENTS && invoices.every(({ namesAllPayments }) => namesAllPayments),
  };
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
