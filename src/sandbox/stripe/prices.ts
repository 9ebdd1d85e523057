import { z } from 'zod';
import type { Queryable } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest, parseParameters } from './errors.ts';
import { insertObject, listObjects, readObject } from './objects.ts';
import { boolean, createdRange, integer, metadata, pageParameters } from './parameters.ts';
import { listOf, newId, nowSeconds, type Price, type Product } from './wire.ts';

const productParameters = z.object({
  name: z.string().min(1),
  description: z.string().optional(),
  metadata,
});

const recurring = z.object({
  interval: z.enum(['day', 'week', 'month', 'year']),
  interval_count: integer.default(1),
});

/** A price described on the spot, as checkout sessions allow (`price_data`). */
export const priceData = z.object({
  currency: z.string().length(3).toLowerCase(),
  unit_amount: integer.pipe(z.number().min(0)),
  product: z.string().optional(),
  product_data: productParameters.optional(),
  recurring: recurring.optional(),
});

export type PriceData = z.output<typeof priceData>;

const priceParameters = priceData.extend({
  nickname: z.string().optional(),
  lookup_key: z.string().optional(),
  metadata,
});

const listParameters = pageParameters.extend({ created: createdRange, active: boolean.optional() });

export function mountPrices(endpoints: Endpoints): void {
  endpoints.post('/products', async (db, { input }) =>
    createProduct(db, parseParameters(productParameters, input)),
  );
  endpoints.get('/products', async (db, { input }) => {
    const { active, created, ...page } = parseParameters(listParameters, input);
    const { data, hasMore } = await listObjects<Product>(db, 'product', {
      filter: { active },
      created,
      page,
    });
    return listOf('/v1/products', data, hasMore);
  });
  endpoints.get('/products/:id', (db, { id }) => readObject<Product>(db, 'product', id));
  endpoints.post('/prices', async (db, { input }) => {
    const { nickname = null, lookup_key = null, ...parameters } = parseParameters(priceParameters, input);
    return createPrice(db, parameters, { nickname, lookup_key, metadata: parameters.metadata });
  });
  endpoints.get('/prices', async (db, { input }) => {
    const { active, created, product, ...page } = parseParameters(
      listParameters.extend({ product: z.string().optional() }),
      input,
    );
    const filter = { active, product };
    const { data, hasMore } = await listObjects<Price>(db, 'price', { filter, created, page });
    return listOf('/v1/prices', data, hasMore);
  });
  endpoints.get('/prices/:id', (db, { id }) => readObject<Price>(db, 'price', id));
}

/** Makes a price and, where the description brings one along, its product. */
export async function createPrice(
  db: Queryable,
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
    product: await productOf(db, data),
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
  await insertObject(db, price);
  return price;
}

async function productOf(db: Queryable, { product, product_data }: PriceData): Promise<string> {
  if (product !== undefined)
    return (await readObject<Product>(db, 'product', product, { param: 'product' })).id;
  if (product_data === undefined)
    throw invalidRequest('You must specify either `product` or `product_data`.', { param: 'product' });
  return (await createProduct(db, product_data)).id;
}

async function createProduct(
  db: Queryable,
  { name, description, metadata }: z.output<typeof productParameters>,
): Promise<Product> {
  const created = nowSeconds();
  const product: Product = {
    id: newId('prod', 14),
    object: 'product',
    active: true,
    created,
    default_price: null,
    description: description ?? null,
    images: [],
    livemode: false,
    marketing_features: [],
    metadata,
    name,
    package_dimensions: null,
    shippable: null,
    statement_descriptor: null,
    tax_code: null,
    tax_details: null,
    type: 'service',
    unit_label: null,
    updated: created,
    url: null,
  };
  await insertObject(db, product);
  return product;
}
