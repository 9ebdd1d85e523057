import type { Kind } from './expand.ts';

/** The expandable fields of objects that exist only within others and are not resources here. */
export const EMBEDDED_KINDS: ReadonlyMap<string, Kind> = new Map(
  Object.entries({
    item: { price: 'price', discounts: 'discount', taxes: 'tax' },
    line_item: {
      'pricing.price_details.price': 'price',
      discounts: 'discount',
      subscription: 'subscription',
    },
    plan: { product: 'product', tiers: 'tier' },
    subscription_item: { price: 'price', plan: 'plan', discounts: 'discount', tax_rates: 'tax_rate' },
  }).map(([object, expandable]) => [object, { expandable }]),
);
