import { askStripe, createStripe, type StripeAccount } from './stripe.ts';

/** Opens a checkout session for one agent at a monthly price. @returns the session's id */
export async function openCheckoutSession(
  account: StripeAccount,
  order: { metadata: Record<string, string>; successUrl: string; centsPerMonth: number },
): Promise<string> {
  const recurring = { interval: 'month' } as const;
  const price = { currency: 'eur', unit_amount: order.centsPerMonth, recurring };
  const { id } = await askStripe(
    createStripe(account).checkout.sessions.create({
      mode: 'subscription',
      line_items: [{ quantity: 1, price_data: { ...price, product_data: { name: 'Agent' } } }],
      metadata: order.metadata,
      success_url: order.successUrl,
    }),
  );
  return id;
}
