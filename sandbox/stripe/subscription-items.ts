import { z } from 'zod';
import type { SandboxTransaction } from '../database.ts';
import { invalidRequest, resourceMissing } from './errors.ts';
import { readObject } from './objects.ts';
import { boolean, changeMetadata, fields, integer, metadataChange, text } from './parameters.ts';
import { createPrice, priceData } from './prices.ts';
import { newSubscriptionItem, toPlan } from './subscription-object.ts';
import type { Price, Subscription, SubscriptionItem } from './wire.ts';

/** `items` of a subscription's update: changes or deletes items with an id, and adds those without. */
export const itemsChange = z
  .array(
    fields({
      id: text.optional(),
      price: text.optional(),
      price_data: priceData.optional(),
      quantity: integer.pipe(z.number().min(0)).optional(),
      deleted: boolean.optional(),
      metadata: metadataChange,
    }),
  )
  .max(20);

type Wanted = z.output<typeof itemsChange>[number];

/** An item before and after a change. Either may be missing. */
export interface ItemChange {
  before?: SubscriptionItem;
  after?: SubscriptionItem;
}

/** Returns the new items of a subscription and each change. @throws StripeError 400 for invalid ones */
export async function planItems(
  trx: SandboxTransaction,
  subscription: Subscription,
  wanted: readonly Wanted[],
  now: number,
): Promise<{ items: SubscriptionItem[]; changes: ItemChange[] }> {
  const items = [...subscription.items.data];
  const changes: ItemChange[] = [];
  for (const [index, want] of wanted.entries()) {
    const price = await resolvePrice(trx, subscription, want, `items[${index}]`);
    const at = findItem(items, want, index);
    const before = items[at];
    const after = want.deleted ? undefined : toItemAfter(subscription, before, want, price, now, index);
    if (after === undefined) items.splice(at, 1);
    else items[before === undefined ? items.length : at] = after;
    changes.push({ ...(before && { before }), ...(after && { after }) });
  }
  checkItems(items);
  return { items, changes };
}

/** Returns the index of an existing item, or -1 for one to add. */
function findItem(items: readonly SubscriptionItem[], { id, deleted }: Wanted, index: number): number {
  if (id === undefined) {
    if (deleted)
      throw invalidRequest('You must pass the `id` of the item to delete.', { param: `items[${index}][id]` });
    return -1;
  }
  const at = items.findIndex((item) => item.id === id);
  if (at < 0) throw resourceMissing('subscription item', id, `items[${index}][id]`, 400);
  return at;
}

function toItemAfter(
  subscription: Subscription,
  before: SubscriptionItem | undefined,
  { quantity, metadata }: Wanted,
  price: Price | undefined,
  now: number,
  index: number,
): SubscriptionItem {
  if (before === undefined) {
    if (price === undefined)
      throw invalidRequest('You must pass either `price` or `price_data` for a new item.', {
        param: `items[${index}][price]`,
      });
    const made = newSubscriptionItem(subscription.id, { price, quantity: quantity ?? 1 }, now);
    const { current_period_start, current_period_end } = subscription.items.data[0] ?? made;
    return { ...made, current_period_start, current_period_end, metadata: changeMetadata({}, metadata) };
  }
  return {
    ...before,
    ...(price !== undefined && { price, plan: toPlan(price) }),
    ...(quantity !== undefined && { quantity }),
    metadata: changeMetadata(before.metadata, metadata),
  };
}

async function resolvePrice(
  trx: SandboxTransaction,
  { currency }: Subscription,
  { price: id, price_data }: Wanted,
  param: string,
): Promise<Price | undefined> {
  if (id !== undefined && price_data !== undefined)
    throw invalidRequest('You may only specify one of these parameters: price, price_data.', {
      param: `${param}[price]`,
    });
  if (price_data !== undefined) return createPrice(trx, price_data);
  if (id === undefined) return undefined;
  const price = await readObject<Price>(trx, 'price', id, `${param}[price]`);
  const refuse = (message: string) => invalidRequest(message, { param: `${param}[price]` });
  if (!price.active) throw refuse('The price specified is inactive. This field only accepts active prices.');
  if (price.type !== 'recurring')
    throw refuse(
      'The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.',
    );
  if (price.currency !== currency)
    throw refuse(
      `The price specified only supports \`${price.currency}\`. This doesn't match the expected currency: \`${currency}\`.`,
    );
  return price;
}

/** @throws StripeError 400 for items that cannot be in one subscription together */
export function checkItems(items: readonly SubscriptionItem[]): void {
  if (items.length === 0)
    throw invalidRequest(
      'A subscription must have at least one active plan. To cancel it, use the cancel endpoint.',
      {
        param: 'items',
      },
    );
  const twice = items.find(
    (item, index) => items.findIndex(({ price }) => price.id === item.price.id) < index,
  );
  if (twice !== undefined)
    throw invalidRequest(
      `Price \`${twice.price.id}\` is already in use by another item of this subscription.`,
      {
        param: 'items',
      },
    );
  const intervals = new Set(
    items.map(({ price }) => `${price.recurring?.interval} ${price.recurring?.interval_count}`),
  );
  if (intervals.size > 1)
    throw invalidRequest(
      'All prices on a subscription must have the same `recurring.interval` and `recurring.interval_count`.',
      { param: 'items' },
    );
}
