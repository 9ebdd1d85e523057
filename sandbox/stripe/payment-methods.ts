import { z } from 'zod';
import type { SandboxTransaction } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { cardDeclined, invalidRequest, resourceMissing } from './errors.ts';
import { type EventCause, emitEvent } from './events.ts';
import {
  insertObject,
  listObjects,
  lockObject,
  lockWithHidden,
  readObject,
  saveHidden,
  saveObject,
} from './objects.ts';
import {
  changeMetadata,
  definedOnly,
  fields,
  integer,
  metadata,
  metadataChange,
  pageParameters,
  text,
  unsettable,
} from './parameters.ts';
import { type MethodHidden, type MethodOptions, newPaymentMethod } from './payment-method-object.ts';
import { equals, mountResource, type Resource } from './resource.ts';
import { changeSubscription, toId } from './subscription-changes.ts';
import { findCardByNumber, findCardByToken, type TestCard } from './test-cards.ts';
import { type Customer, type PaymentMethod, type Subscription, toList } from './wire.ts';

const PAYMENT_METHOD = 'payment_method';

export const paymentMethods: Resource<PaymentMethod> = {
  object: PAYMENT_METHOD,
  path: '/payment_methods',
  filters: {
    customer: equals(text, 'customer'),
    type: equals(z.enum(['card']), 'type'),
  },
  expandable: { customer: 'customer' },
};

const billing = fields({
  email: unsettable(text).optional(),
  name: unsettable(text).optional(),
  phone: unsettable(text).optional(),
}).optional();

const expiry = { exp_month: integer.pipe(z.number().min(1).max(12)), exp_year: integer };

const createParameters = {
  type: z.enum(['card']),
  card: fields({
    token: text.optional(),
    number: text.optional(),
    cvc: text.optional(),
    exp_month: expiry.exp_month.optional(),
    exp_year: expiry.exp_year.optional(),
  }),
  billing_details: billing,
  metadata,
};

export function mountPaymentMethods(endpoints: Endpoints): void {
  mountResource(endpoints, paymentMethods);
  const created = { answers: PAYMENT_METHOD, parameters: createParameters };
  endpoints.post('/payment_methods', created, (trx, { input }) => {
    const { card, billing_details, metadata } = input;
    const billing = definedOnly(billing_details ?? {});
    return storeMethod(trx, toCard(card), { ...toExpiry(card), billing, metadata });
  });
  const updated = {
    answers: PAYMENT_METHOD,
    parameters: {
      billing_details: billing,
      card: fields({ exp_month: expiry.exp_month, exp_year: expiry.exp_year }).partial().optional(),
      metadata: metadataChange,
    },
  };
  endpoints.post('/payment_methods/:id', updated, async (trx, { id, input }) => {
    const before = await lockObject<PaymentMethod>(trx, PAYMENT_METHOD, id);
    const after: PaymentMethod = {
      ...before,
      billing_details: { ...before.billing_details, ...definedOnly(input.billing_details ?? {}) },
      ...(before.card && { card: { ...before.card, ...definedOnly(input.card ?? {}) } }),
      metadata: changeMetadata(before.metadata ?? {}, input.metadata),
    };
    await saveObject(trx, after);
    return after;
  });
  mountAttachment(endpoints);
}

function mountAttachment(endpoints: Endpoints): void {
  const attached = { answers: PAYMENT_METHOD, parameters: { customer: text } };
  endpoints.post('/payment_methods/:id/attach', attached, (trx, { id, input, request }) =>
    attachMethod(trx, id, input.customer, request),
  );
  const detached = { answers: PAYMENT_METHOD, parameters: {} };
  endpoints.post('/payment_methods/:id/detach', detached, (trx, { id, request }) =>
    detachMethod(trx, id, request),
  );
  const ofCustomer = {
    answers: `${PAYMENT_METHOD}[]`,
    parameters: { ...pageParameters, type: z.enum(['card']).optional() },
  };
  endpoints.get('/customers/:id/payment_methods', ofCustomer, async (database, { id, input }) => {
    const { type, ...page } = input;
    const customer = (await readObject<Customer>(database, 'customer', id)).id;
    const filter = { customer, ...(type !== undefined && { type }) };
    const { data, hasMore } = await listObjects<PaymentMethod>(database, PAYMENT_METHOD, { filter, page });
    return toList(`/v1/customers/${id}/payment_methods`, data, hasMore);
  });
}

/** Stores the payment method of a test card. */
export async function storeMethod(
  trx: SandboxTransaction,
  card: TestCard,
  options?: MethodOptions,
): Promise<PaymentMethod> {
  const method = newPaymentMethod(card, options);
  const hidden: MethodHidden = { number: card.number };
  await insertObject(trx, method, hidden);
  return method;
}

/**
 * Attaches a payment method to a customer. An id such as `pm_card_visa` stands for a new one each time.
 * @throws StripeError 402 if the card refuses it
 */
export async function attachMethod(
  trx: SandboxTransaction,
  idOrToken: string,
  customerId: string,
  request?: EventCause,
): Promise<PaymentMethod> {
  const customer = (await readObject<Customer>(trx, 'customer', customerId, 'customer')).id;
  const tokenCard = findCardByToken(idOrToken);
  const id = tokenCard ? (await storeMethod(trx, tokenCard)).id : idOrToken;
  const { body: method, hidden } = await lockWithHidden<PaymentMethod, MethodHidden>(trx, PAYMENT_METHOD, id);
  if (method.customer !== null && toId(method.customer) === customer) return method;
  if (method.customer !== null)
    throw invalidRequest('The payment method you provided has already been attached to a customer.');
  if (hidden.isDetached)
    throw invalidRequest(
      'This PaymentMethod was previously used without being attached to a Customer or was detached from a Customer, and may not be used again.',
    );
  const card = findCardByNumber(hidden.number);
  if (card?.refusesAttach && card.decline) throw cardDeclined(card.decline);
  const attached: PaymentMethod = { ...method, customer };
  await saveObject(trx, attached);
  await emitEvent(trx, { type: 'payment_method.attached', object: attached, ...(request && { request }) });
  return attached;
}

async function detachMethod(
  trx: SandboxTransaction,
  id: string,
  request: EventCause,
): Promise<PaymentMethod> {
  const { body, hidden } = await lockWithHidden<PaymentMethod, MethodHidden>(trx, PAYMENT_METHOD, id);
  if (body.customer === null)
    throw invalidRequest(
      'The payment method you provided is not attached to a customer so detachment is impossible.',
    );
  const customerId = toId(body.customer);
  const detached: PaymentMethod = { ...body, customer: null };
  const kept: MethodHidden = { ...hidden, isDetached: true };
  await saveObject(trx, detached);
  await saveHidden(trx, id, kept);
  await forgetDefaults(trx, customerId, id);
  const previous = { customer: customerId };
  const cause = request && { request };
  await emitEvent(trx, { type: 'payment_method.detached', object: detached, previous, ...cause });
  return detached;
}

/** A detached method is nobody's default any more. */
async function forgetDefaults(trx: SandboxTransaction, customerId: string, methodId: string): Promise<void> {
  const { data } = await listObjects<Subscription>(trx, 'subscription', {
    filter: { customer: customerId, default_payment_method: methodId },
    page: { limit: 1000 },
  });
  for (const subscription of data)
    await changeSubscription(trx, subscription, { default_payment_method: null });
  const customer = await lockObject<Customer>(trx, 'customer', customerId);
  const { invoice_settings } = customer;
  if (invoice_settings.default_payment_method !== methodId) return;
  const settings = { ...invoice_settings, default_payment_method: null };
  const after: Customer = { ...customer, invoice_settings: settings };
  await saveObject(trx, after);
}

type CardInput = z.output<typeof createParameters.card>;

function toCard({ token, number }: CardInput): TestCard {
  if ((token === undefined) === (number === undefined))
    throw invalidRequest('You must provide a `card[token]`, or a `card[number]` of a test card.', {
      param: 'card',
    });
  const card = token === undefined ? findCardByNumber(number!) : findCardByToken(token);
  if (card !== undefined) return card;
  if (token !== undefined) throw resourceMissing('token', token, 'card[token]', 400);
  throw invalidRequest('The sandbox knows only test card numbers: https://docs.stripe.com/testing#cards', {
    code: 'incorrect_number',
    param: 'card[number]',
  });
}

function toExpiry({ exp_month, exp_year }: CardInput): Pick<MethodOptions, 'expiry'> {
  return exp_month !== undefined && exp_year !== undefined ? { expiry: { exp_month, exp_year } } : {};
}
