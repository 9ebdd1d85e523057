import type { z } from 'zod';
import type { SandboxTransaction } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { insertObject, lockObject, saveObject } from './objects.ts';
import { boolean, changeMetadata, metadata, metadataChange, text, unsettable } from './parameters.ts';
import { equals, mountResource, type Resource } from './resource.ts';
import { newId, nowSeconds, type Product } from './wire.ts';

export const productParameters = {
  name: text.max(250),
  description: text.optional(),
  metadata,
};

export const products: Resource<Product> = {
  object: 'product',
  path: '/products',
  filters: { active: equals(boolean, 'active') },
  search: {
    active: { type: 'token', path: ['active'] },
    description: { type: 'string', path: ['description'] },
    name: { type: 'string', path: ['name'] },
    url: { type: 'string', path: ['url'] },
  },
  expandable: { default_price: 'price', tax_code: 'tax_code' },
};

export function mountProducts(endpoints: Endpoints): void {
  mountResource(endpoints, products);
  endpoints.post('/products', { answers: 'product', parameters: productParameters }, (trx, { input }) =>
    createProduct(trx, input),
  );
  const parameters = {
    active: boolean.optional(),
    name: productParameters.name.optional(),
    description: unsettable(text).optional(),
    metadata: metadataChange,
  };
  endpoints.post('/products/:id', { answers: 'product', parameters }, async (trx, { id, input }) => {
    const before = await lockObject<Product>(trx, 'product', id);
    const { active = before.active, name = before.name, description = before.description } = input;
    const kept = { active, name, description, metadata: changeMetadata(before.metadata, input.metadata) };
    const after: Product = { ...before, ...kept, updated: nowSeconds() };
    await saveObject(trx, after);
    return after;
  });
}

/** Creates a product. */
export async function createProduct(
  trx: SandboxTransaction,
  { name, description, metadata }: z.output<z.ZodObject<typeof productParameters>>,
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
  await insertObject(trx, product);
  return product;
}
