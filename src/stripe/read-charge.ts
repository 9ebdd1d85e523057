import { z } from 'zod';
import { askStripe, createStripe, type StripeAccount, StripeMissingError } from './stripe.ts';

const chargeSchema = z.object({
  customer: z
    .union([z.string(), z.object({ id: z.string() }).transform((expanded) => expanded.id)])
    .nullish()
    .catch(undefined),
});

/**
 * Returns a charge's customer; undefined without one, or if Stripe does not know the charge.
 * @throws RetryableError; PermanentError if the key may not read it
 * @see https://docs.stripe.com/api/charges/retrieve
 */
export async function readCustomerOfCharge(
  account: StripeAccount,
  chargeId: string,
): Promise<string | undefined> {
  try {
    const charge = await askStripe(createStripe(account).charges.retrieve(chargeId));
    return chargeSchema.parse(charge).customer ?? undefined;
  } catch (error) {
    if (error instanceof StripeMissingError) return undefined;
    throw error;
  }
}
