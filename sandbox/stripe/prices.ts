import { z } from 'zod';
import type { SandboxTransaction } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest } from './errors.ts';
import { insertObject, lockObject, readObject, saveObject } from './objects.ts';
import {
  boolean,
  changeMetadata,
  currency,
  fields,
  integer,
  metadata,
  metadataChange,
  text,
  unsettable,
} from './parameters.ts';
import { createProduct, productParameters } from './products.ts';
import { equals, mountResource, type Resource } from './resource.ts';
import { newId, nowSeconds, type Price, type Product } from './wire.ts';

const recurring = fields({
  interval: z.enum(['day', 'week', 'month', 'year']),
  interval_count: integer.pipe(z.number().min(1)).default(1),
});

const priceShape = {
  currency,
  unit_amount: integer.pipe(z.number().min(0)),
  product: text.optional(),
  product_data: fields(productParameters).optional(),
  recurring: recurring.optional(),
};

/** An inline price (`price_data`), as checkout sessions accept. */
export const priceData = fields(priceShape);

export type PriceData = z.output<typeof priceData>;

const names = { nickname: text.optional(), lookup_key: text.max(200).optional(), metadata };

export const prices: Resource<Price> = {
  object: 'price',
  path: '/prices',
  filters: {
    active: equals(boolean, 'active'),
    currency: equals(currency, 'currency'),
    lookup_keys: {
      value: z.array(text).max(10),
      narrow: (keys: string[]) => ({ anyOf: keys.map((lookup_key) => ({ lookup_key })) }),
    },
    product: equals(text, 'product'),
    recurring: equals(fields({ interval: recurring.shape.interval }), 'recurring'),
    type: equals(z.enum(['one_time', 'recurring']), 'type'),
  },
  search: {
    active: { type: 'token', path: ['active'] },
    currency: { type: 'token', path: ['currency'] },
    lookup_key: { type: 'string', path: ['lookup_key'] },
    product: { type: 'string', path: ['product'] },
    type: { type: 'token', path: ['type'] },
  },
  expandable: { product: 'product', currency_options: 'currency_option', tiers: 'tier' },
};

export function mountPrices(endpoints: Endpoints): void {
  mountResource(endpoints, prices);
  const created = { answers: 'price', parameters: { ...priceShape, ...names } };
  endpoints.post('/prices', created, (trx, { input }) => {
    const { nickname = null, lookup_key = null, metadata } = input;
    return createPrice(trx, input, { nickname, lookup_key, metadata });
  });
  const parameters = {
    active: boolean.optional(),
    lookup_key: unsettable(text.max(200)).optional(),
    nickname: unsettable(text).optional(),
    metadata: metadataChange,
  };
  endpoints.post('/prices/:id', { answers: 'price', parameters }, async (trx, { id, input }) => {
    const before = await lockObject<Price>(trx, 'price', id);
    const { active = before.active, lookup_key = before.lookup_key, nickname = before.nickname } = input;
    const kept = { active, lookup_key, nickname, metadata: changeMetadata(before.metadata, input.metadata) };
    const after: Price = { ...before, ...kept };
    await saveObject(trx, after);
    return after;
  });
}

/** Creates a price, and its product if the data describes one. */
export async function createPrice(
  trx: SandboxTransaction,
  data: PriceData,
  names: Pick<Price, 'nickname' | 'lookup_key' | 'metadata'> = {
    nickname: null,
    lookup_key: null,
    metadata: {},
  },
): Promise<Price> {
  const price: Price = {
    id: newId('price'),
    object: 'price',
    active: true,
    billing_scheme: 'per_unit',
    created: nowSeconds(),
    currency: data.currency,
    custom_unit_amount: null,
    livemode: false,
    product: await resolveProduct(trx, data),
    recurring: data.recurring
      ? { ...data.recurring, meter: null, trial_period_days: null, usage_type: 'licensed' }
      : null,
    tax_behavior: 'unspecified',
    tiers_mode: null,
    transform_quantity: null,
    type: data.recurring ? 'recurring' : 'one_time',
    unit_amount: data.unit_amount,
    unit_amount_decimal: String(data.unit_amount),
    ...names,
  };
  await insertObject(trx, price);
  return price;
}

async function resolveProduct(
  trx: SandboxTransaction,
  { product, product_data }: PriceData,
): Promise<string> {
  if (product !== undefined) return (await readObject<Product>(trx, 'product', product, 'product')).id;
  if (product_data === undefined)
    throw invalidRequest('You must specify either `product` or `product_data`.', { param: 'product' });
  return (await createProduct(trx, product_data)).id;
}
