import { z } from 'zod';
import type { Queryable } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { parseParameters } from './errors.ts';
import { insertObject, listObjects, readObject, saveObject } from './objects.ts';
import { changeMetadata, createdRange, metadata, metadataChange, pageParameters } from './parameters.ts';
import { type Customer, listOf, newId, nowSeconds } from './wire.ts';

const profile = z.object({
  email: z.string().max(512).optional(),
  name: z.string().max(256).optional(),
  description: z.string().max(350).optional(),
});

const createParameters = profile.extend({ metadata });
const updateParameters = profile.extend({ metadata: metadataChange });
const listParameters = pageParameters.extend({ email: z.string().optional(), created: createdRange });

export function mountCustomers(endpoints: Endpoints): void {
  endpoints.post('/customers', async (db, { input }) =>
    createCustomer(db, parseParameters(createParameters, input)),
  );
  endpoints.get('/customers', async (db, { input }) => {
    const { email, created, ...page } = parseParameters(listParameters, input);
    const { data, hasMore } = await listObjects<Customer>(db, 'customer', {
      filter: { email },
      created,
      page,
    });
    return listOf('/v1/customers', data, hasMore);
  });
  endpoints.get('/customers/:id', (db, { id }) => readObject<Customer>(db, 'customer', id));
  endpoints.post('/customers/:id', async (db, { id, input }) => {
    const { metadata, ...changes } = parseParameters(updateParameters, input);
    const before = await readObject<Customer>(db, 'customer', id, { lock: true });
    const after = { ...before, ...changes, metadata: changeMetadata(before.metadata, metadata) };
    await saveObject(db, after);
    return after;
  });
}

export async function createCustomer(
  db: Queryable,
  { email, name, description, metadata }: z.output<typeof createParameters>,
): Promise<Customer> {
  const customer: Customer = {
    id: newId('cus', 14),
    object: 'customer',
    address: null,
    balance: 0,
    created: nowSeconds(),
    currency: null,
    default_source: null,
    delinquent: false,
    description: description ?? null,
    email: email ?? null,
    invoice_settings: {
      custom_fields: null,
      default_payment_method: null,
      footer: null,
      rendering_options: null,
    },
    livemode: false,
    metadata,
    name: name ?? null,
    phone: null,
    preferred_locales: [],
    shipping: null,
    tax_exempt: 'none',
    test_clock: null,
  };
  await insertObject(db, customer);
  return customer;
}
