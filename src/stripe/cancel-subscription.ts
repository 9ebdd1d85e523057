import { askStripe, createStripe, type StripeAccount, StripeMissingError } from './stripe.ts';

/**
 * Ends a subscription now, without a refund. One that Stripe no longer knows, or has ended, is left alone.
 * @throws RetryableError; PermanentError if the key may not do it
 * @see https://docs.stripe.com/api/subscriptions/cancel
 */
export async function cancelSubscription(account: StripeAccount, subscriptionId: string): Promise<void> {
  try {
    await askStripe(createStripe(account).subscriptions.cancel(subscriptionId));
  } catch (error) {
    if (!(error instanceof StripeMissingError)) throw error;
  }
}
