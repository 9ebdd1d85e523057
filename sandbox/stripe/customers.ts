import type { z } from 'zod';
import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { resourceMissing } from './errors.ts';
import { insertObject, listObjects, lockObject, saveObject } from './objects.ts';
import { changeMetadata, metadata, metadataChange, text, unsettable } from './parameters.ts';
import { equals, mountResource, ofTestClock, type Resource } from './resource.ts';
import { type Customer, currentTestClock, newId, nowSeconds, type Subscription, toList } from './wire.ts';

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
  filters: { email: equals(text, 'email'), test_clock: ofTestClock },
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
  includes: { subscriptions: listLiveSubscriptions },
};

export function mountCustomers(endpoints: Endpoints): void {
  mountResource(endpoints, customers);
  // A call that names a test clock happens in that clock's time, and so does what it creates.
  const parameters = { ...profile, metadata, test_clock: text.optional() };
  endpoints.post('/customers', { answers: 'customer', parameters }, async (trx, { input }) => {
    if (input.test_clock !== undefined && currentTestClock() === null)
      throw resourceMissing('testclock', input.test_clock, 'test_clock', 400);
    return createCustomer(trx, input);
  });
  const updated = { answers: 'customer', parameters: { ...updateProfile, metadata: metadataChange } };
  endpoints.post('/customers/:id', updated, async (trx, { id, input: { metadata, ...changes } }) => {
    const before = await lockObject<Customer>(trx, 'customer', id);
    const after = { ...before, ...changes, metadata: changeMetadata(before.metadata, metadata) };
    await saveObject(trx, after);
    return after;
  });
}

/** Returns the first ten live subscriptions, for `subscriptions` of an expanded customer. */
async function listLiveSubscriptions(database: SandboxDatabase, { id }: Customer) {
  const options = { filter: { customer: id }, except: { status: 'canceled' }, page: { limit: 10 } };
  const { data, hasMore } = await listObjects<Subscription>(database, 'subscription', options);
  return toList(`/v1/customers/${id}/subscriptions`, data, hasMore);
}

type NewCustomer = z.output<z.ZodObject<typeof profile>> & { metadata: Record<string, string> };

/** Creates a customer. */
export async function createCustomer(
  trx: SandboxTransaction,
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
    test_clock: currentTestClock(),
  };
  await insertObject(trx, customer);
  return customer;
}
