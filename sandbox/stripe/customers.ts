import type { z } from 'zod';
import type { Queryable } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { insertObject, listObjects, readObject, saveObject } from './objects.ts';
import { changeMetadata, metadata, metadataChange, text, unsettable } from './parameters.ts';
import { equals, mountResource, type Resource } from './resource.ts';
import { type Customer, listOf, newId, nowSeconds, type Subscription } from './wire.ts';

const profile = {
  email: text.max(512).optional(),
  name: text.max(256).optional(),
  description: text.max(350).optional(),
  phone: text.max(20).optional(),
};

const updateProfile = Object.fromEntries(
  Object.entries(profile).map(([name, value]) => [name, unsettable(value.unwrap()).optional()]),
);

export const customers: Resource<Customer> = {
  object: 'customer',
  path: '/customers',
  filters: { email: equals(text, 'email') },
  search: {
    created: { type: 'number', path: ['created'] },
    email: { type: 'string', path: ['email'] },
    name: { type: 'string', path: ['name'] },
    phone: { type: 'string', path: ['phone'] },
  },
  expandable: {
    default_source: 'source',
    'invoice_settings.default_payment_method': 'payment_method',
    subscriptions: 'subscription[]',
    test_clock: 'test_helpers.test_clock',
  },
  includes: { subscriptions: liveSubscriptions },
};

export function mountCustomers(endpoints: Endpoints): void {
  mountResource(endpoints, customers);
  const created = { answers: 'customer', parameters: { ...profile, metadata } };
  endpoints.post('/customers', created, (db, { input }) => createCustomer(db, input));
  const updated = { answers: 'customer', parameters: { ...updateProfile, metadata: metadataChange } };
  endpoints.post('/customers/:id', updated, async (db, { id, input: { metadata, ...changes } }) => {
    const before = await readObject<Customer>(db, 'customer', id, { lock: true });
    const after = { ...before, ...changes, metadata: changeMetadata(before.metadata, metadata) };
    await saveObject(db, after);
    return after;
  });
}

/** The first ten that have not ended: `subscriptions` of a customer, where that is asked for. */
async function liveSubscriptions(db: Queryable, { id }: Customer) {
  const options = { filter: { customer: id }, except: { status: 'canceled' }, page: { limit: 10 } };
  const { data, hasMore } = await listObjects<Subscription>(db, 'subscription', options);
  return listOf(`/v1/customers/${id}/subscriptions`, data, hasMore);
}

type NewCustomer = z.output<z.ZodObject<typeof profile>> & { metadata: Record<string, string> };

export async function createCustomer(
  db: Queryable,
  { email, name, description, phone, metadata }: NewCustomer,
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
    phone: phone ?? null,
    preferred_locales: [],
    shipping: null,
    tax_exempt: 'none',
    test_clock: null,
  };
  await insertObject(db, customer);
  return customer;
}
