import { AnswerFields, listOf } from './answer-fields.ts';
import { listInvoices } from './list-invoices.ts';
import { readDisputes } from './read-disputes.ts';
import type { ListedInvoice } from './read-invoices.ts';
import { readSummary } from './read-summary.ts';
import { askStripe, createStripe, type StripeAccount, StripeMissingError } from './stripe.ts';
import type { Invoice, Subscription, SubscriptionSummary } from './subscription-view.ts';

export type { Invoice, Subscription, SubscriptionSummary } from './subscription-view.ts';

const PAGE = 100;

/**
 * Reads a subscription's present state with its invoices and their disputes: two calls, or three where
 * something was paid, and more for a customer with many charges or a dispute, or with more than 24 invoices.
 * All of it comes from list and retrieve calls made now, nothing from an event.
 * @returns undefined if Stripe does not know the subscription
 * @throws RetryableError for an answer that is unusable, PermanentError if the key may not read it
 * @see https://docs.stripe.com/api/subscriptions/retrieve https://docs.stripe.com/api/invoices/list
 */
export async function readSubscription(
  account: StripeAccount,
  subscriptionId: string,
): Promise<Subscription | undefined> {
  const stripe = createStripe(account);
  const summary = await knownOrUndefined(async () =>
    readSummary(await askStripe(stripe.subscriptions.retrieve(subscriptionId))),
  );
  if (summary === undefined) return undefined;
  const { oddities } = summary;
  const invoices = await listInvoices(stripe, subscriptionId, { oddities, apiUrl: account.apiUrl });
  const disputes = await readDisputes(stripe, summary.customerId, invoices, oddities);
  return {
    ...summary,
    invoices: invoices.map(toInvoice).sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime()),
    ...disputes,
  };
}

/**
 * Lists all subscriptions of the account, also the ended ones, without their invoices: a hundred a call.
 * @throws as `readSubscription` does
 */
export async function* listSubscriptions(
  account: StripeAccount,
  { startingAfter }: { startingAfter?: string } = {},
): AsyncGenerator<SubscriptionSummary> {
  const stripe = createStripe(account);
  let after = startingAfter;
  do {
    const page = await askStripe(
      stripe.subscriptions.list({
        status: 'all',
        limit: PAGE,
        ...(after !== undefined && { starting_after: after }),
      }),
    );
    const { data, has_more: more } = new AnswerFields('answer', { list: page }).require('list', listOf);
    const found = data.map(readSummary);
    yield* found;
    after = more === true ? found.at(-1)?.subscriptionId : undefined;
  } while (after !== undefined);
}

async function knownOrUndefined<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof StripeMissingError) return undefined;
    throw error;
  }
}

function toInvoice({ paymentIds: _, namesAllPayments: __, ...invoice }: ListedInvoice): Invoice {
  return invoice;
}
