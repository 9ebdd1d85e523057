import type { SandboxTransaction } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { insertObject, listObjects, saveObject } from './objects.ts';
import { boolean, text } from './parameters.ts';
import type { Proration } from './prorations.ts';
import { equals, mountResource, type Resource } from './resource.ts';
import { toId } from './subscription-changes.ts';
import { type InvoiceItem, newId, nowSeconds, type Subscription } from './wire.ts';

export const invoiceItems: Resource<InvoiceItem> = {
  object: 'invoiceitem',
  path: '/invoiceitems',
  filters: {
    customer: equals(text, 'customer'),
    invoice: equals(text, 'invoice'),
    pending: {
      value: boolean,
      narrow: (pending: boolean) => (pending ? { filter: { invoice: null } } : { except: { invoice: null } }),
    },
  },
  expandable: {
    customer: 'customer',
    discounts: 'discount',
    invoice: 'invoice',
    'pricing.price_details.price': 'price',
    test_clock: 'test_helpers.test_clock',
  },
};

/**
 * Serves the items that wait for a subscription's next invoice. Only prorations of plan changes create them.
 */
export function mountInvoiceItems(endpoints: Endpoints): void {
  mountResource(endpoints, invoiceItems);
}

/** Creates a pending invoice item for a proration. */
export async function createInvoiceItem(
  trx: SandboxTransaction,
  subscription: Subscription,
  { item, amount, description, period }: Proration,
): Promise<void> {
  const { price, quantity = 1 } = item;
  const made: InvoiceItem = {
    id: newId('ii'),
    object: 'invoiceitem',
    amount,
    currency: subscription.currency,
    customer: toId(subscription.customer),
    customer_account: null,
    date: nowSeconds(),
    description,
    discountable: false,
    discounts: [],
    invoice: null,
    livemode: false,
    metadata: {},
    parent: {
      type: 'subscription_details',
      subscription_details: { subscription: subscription.id, subscription_item: item.id },
    },
    period,
    pricing: {
      type: 'price_details',
      price_details: { price: price.id, product: toId(price.product) },
      unit_amount_decimal: price.unit_amount_decimal,
    },
    proration: true,
    proration_details: { credited_items: null, discount_amounts: [] },
    quantity,
    quantity_decimal: String(quantity),
    tax_rates: [],
    test_clock: subscription.test_clock,
  };
  await insertObject(trx, made);
}

/** Lists the pending items of a subscription, oldest first, as the invoice lists them. */
export async function listPendingItems(
  trx: SandboxTransaction,
  subscriptionId: string,
): Promise<InvoiceItem[]> {
  const parent = { subscription_details: { subscription: subscriptionId } };
  const { data } = await listObjects<InvoiceItem>(trx, 'invoiceitem', {
    filter: { invoice: null, parent },
    page: { limit: 1000 },
  });
  return data.reverse();
}

/** Assigns pending items to an invoice. */
export async function putOnInvoice(
  trx: SandboxTransaction,
  items: readonly InvoiceItem[],
  invoice: string,
): Promise<void> {
  for (const item of items) {
    const billed: InvoiceItem = { ...item, invoice };
    await saveObject(trx, billed);
  }
}
