import type Stripe from 'stripe';
import { PermanentError } from '../errors.ts';
import { askStripe, createStripe, type StripeAccount } from './stripe.ts';

const READS: Record<string, (stripe: Stripe) => Promise<{ object: string }>> = {
  Subscriptions: (stripe) => stripe.subscriptions.list({ limit: 1 }),
  Invoices: (stripe) => stripe.invoices.list({ limit: 1 }),
  Charges: (stripe) => stripe.charges.list({ limit: 1 }),
  Disputes: (stripe) => stripe.disputes.list({ limit: 1 }),
  Events: (stripe) => stripe.events.list({ limit: 1 }),
};

/**
 * Lists what a key may not read of what following payments needs, by the names in Stripe's console.
 * @throws RetryableError without an answer
 */
export async function findUnreadable(account: StripeAccount): Promise<string[]> {
  const stripe = createStripe(account);
  const refused = await Promise.all(
    Object.entries(READS).map(async ([name, read]) => {
      try {
        await askStripe(read(stripe));
        return [];
      } catch (error) {
        if (error instanceof PermanentError) return [name];
        throw error;
      }
    }),
  );
  return refused.flat();
}
