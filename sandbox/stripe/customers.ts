import type { z } from 'zod';
import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import { readMethodOf } from './default-payment-method.ts';
import type { Endpoints } from './endpoint.ts';
import { resourceMissing } from './errors.ts';
import { insertObject, listObjects, lockObject, saveObject } from './objects.ts';
import { changeMetadata, fields, metadata, metadataChange, text, unsettable } from './parameters.ts';
import { attachMethod } from './payment-methods.ts';
import { equals, mountResource, ofTestClock, type Resource } from './resource.ts';
import { type Customer, currentTestClock, newId, nowSeconds, type Subscription, toList } from './wire.ts';

const profile = {
  email: text.max(512).optional(),
  name: text.max(256).optional(),
  description: text.max(350).optional(),
  phone: text.max(20).optional(),
};

const invoice_settings = fields({ default_payment_method: unsettable(text).optional() }).optional();

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
  const optional = { payment_method: text.optional(), test_clock: text.optional() };
  const created = {
    answers: 'customer',
    parameters: { ...profile, metadata, invoice_settings, ...optional },
  };
  endpoints.post('/customers', created, async (trx, { input, request }) => {
    const { payment_method, invoice_settings: settings, test_clock, ...rest } = input;
    // A call that names a test clock happens in that clock's time, and so does what it creates.
    if (test_clock !== undefined && currentTestClock() === null)
      throw resourceMissing('testclock', test_clock, 'test_clock', 400);
    const customer = await createCustomer(trx, rest);
    if (payment_method !== undefined) await attachMethod(trx, payment_method, customer.id, request);
    return settings ? changeCustomer(trx, customer.id, { invoice_settings: settings }) : customer;
  });
  const parameters = { ...updateProfile, metadata: metadataChange, invoice_settings };
  endpoints.post('/customers/:id', { answers: 'customer', parameters }, (trx, { id, input }) =>
    changeCustomer(trx, id, input),
  );
}

type Change = Partial<Pick<Customer, 'email' | 'name' | 'description'>> & {
  phone?: string | null;
  metadata?: z.output<typeof metadataChange>;
  invoice_settings?: z.output<typeof invoice_settings>;
};

/** Changes a customer. @throws StripeError 400 if the default payment method is not the customer's */
export async function changeCustomer(
  trx: SandboxTransaction,
  id: string,
  { metadata, invoice_settings, ...changes }: Change,
): Promise<Customer> {
  const before = await lockObject<Customer>(trx, 'customer', id);
  const method = invoice_settings?.default_payment_method;
  if (method) await readMethodOf(trx, id, method, 'invoice_settings[default_payment_method]');
  const after: Customer = {
    ...before,
    ...changes,
    invoice_settings: {
      ...before.invoice_settings,
      ...(method !== undefined && { default_payment_method: method }),
    },
    metadata: changeMetadata(before.metadata, metadata),
  };
  await saveObject(trx, after);
  return after;
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
