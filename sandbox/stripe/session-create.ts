import { z } from 'zod';
import type { SandboxTransaction } from '../database.ts';
import { invalidRequest } from './errors.ts';
import { insertObject, readObject } from './objects.ts';
import { boolean, fields, integer, metadata, text, url } from './parameters.ts';
import { createPrice, priceData } from './prices.ts';
import { type Customer, type LineItem, newId, nowSeconds, type Price, type Session } from './wire.ts';

const OPEN_SECONDS = 24 * 3600;

const lineItem = fields({
  price: text.optional(),
  price_data: priceData.optional(),
  quantity: integer.pipe(z.number().min(1)).default(1),
});

export const sessionParameters = {
  mode: z.enum(['payment', 'subscription']),
  success_url: url,
  cancel_url: url.optional(),
  client_reference_id: text.max(200).optional(),
  customer: text.optional(),
  customer_email: text.max(800).optional(),
  line_items: z.array(lineItem).min(1).max(20),
  metadata,
  subscription_data: fields({
    metadata,
    description: text.max(500).optional(),
    trial_end: integer.optional(),
    trial_period_days: integer.pipe(z.number().min(1).max(730)).optional(),
  }).optional(),
  payment_intent_data: fields({ metadata, description: text.max(1000).optional() }).optional(),
  // Options of Stripe's page. The session shows them, but the sandbox's page ignores them.
  allow_promotion_codes: boolean.optional(),
  billing_address_collection: z.enum(['auto', 'required']).optional(),
  locale: text.max(10).optional(),
  payment_method_types: z.array(text).min(1).max(50).optional(),
  submit_type: z.enum(['auto', 'book', 'donate', 'pay', 'subscribe']).optional(),
};

export type SessionParameters = z.output<z.ZodObject<typeof sessionParameters>>;

/** Data of a session that its object does not show. */
export interface SessionHidden {
  lineItems: LineItem[];
  purchaseMetadata: Record<string, string>;
  purchaseDescription?: string;
  /** The subscription begins with a trial: until a time in Unix seconds, or for days from the purchase on. */
  trial?: { trial_end?: number | undefined; trial_period_days?: number | undefined };
}

/** Creates an open session. Nothing is bought until it is paid on its page. */
export async function createSession(
  trx: SandboxTransaction,
  parameters: SessionParameters,
): Promise<Session> {
  const { mode, subscription_data, payment_intent_data, customer } = parameters;
  checkCombination(parameters);
  if (customer !== undefined) await readObject<Customer>(trx, 'customer', customer, 'customer');
  const lineItems: LineItem[] = [];
  for (const index of parameters.line_items.keys())
    lineItems.push(await createLineItem(trx, parameters, index));
  const session = newSession(parameters, lineItems);
  const purchase = mode === 'subscription' ? subscription_data : payment_intent_data;
  const hidden: SessionHidden = {
    lineItems,
    purchaseMetadata: purchase?.metadata ?? {},
    ...(purchase?.description !== undefined && { purchaseDescription: purchase.description }),
    ...(isTrial(parameters) && { trial: toTrial(subscription_data) }),
  };
  await insertObject(trx, session, hidden);
  return session;
}

function checkCombination({ mode, customer, customer_email, ...rest }: SessionParameters): void {
  if (customer !== undefined && customer_email !== undefined)
    throw invalidRequest('You may only specify one of these parameters: customer, customer_email.', {
      param: 'customer',
    });
  const other = mode === 'subscription' ? 'payment_intent_data' : 'subscription_data';
  if (rest[other] !== undefined)
    throw invalidRequest(`You can not pass \`${other}\` in \`${mode}\` mode.`, { param: other });
}

async function createLineItem(
  trx: SandboxTransaction,
  { mode, line_items }: SessionParameters,
  index: number,
): Promise<LineItem> {
  const { price: priceId, price_data, quantity } = line_items[index]!;
  const param = `line_items[${index}][price]`;
  if ((priceId === undefined) === (price_data === undefined))
    throw invalidRequest('You must specify either `price` or `price_data` in a line item.', { param });
  const price = price_data
    ? await createPrice(trx, price_data)
    : await readObject<Price>(trx, 'price', priceId!, param);
  if (mode === 'subscription' && price.type !== 'recurring')
    throw invalidRequest('You must provide at least one recurring price in `subscription` mode.', { param });
  if (mode === 'payment' && price.type === 'recurring')
    throw invalidRequest('You must not use recurring prices in `payment` mode.', { param });
  const amount = (price.unit_amount ?? 0) * quantity;
  return {
    id: newId('li'),
    object: 'item',
    adjustable_quantity: null,
    amount_discount: 0,
    amount_subtotal: amount,
    amount_tax: 0,
    amount_total: amount,
    currency: price.currency,
    description: price_data?.product_data?.name ?? null,
    metadata: {},
    price,
    quantity,
  };
}

/** Whether nothing is paid at the checkout, because the subscription begins with a trial. */
function isTrial({ subscription_data }: SessionParameters): boolean {
  const { trial_end, trial_period_days } = subscription_data ?? {};
  return trial_end !== undefined || trial_period_days !== undefined;
}

function toTrial(data: SessionParameters['subscription_data']): NonNullable<SessionHidden['trial']> {
  return { trial_end: data?.trial_end, trial_period_days: data?.trial_period_days };
}

function newSession(parameters: SessionParameters, lineItems: LineItem[]): Session {
  const { mode, customer, customer_email } = parameters;
  const created = nowSeconds();
  const total = isTrial(parameters) ? 0 : lineItems.reduce((sum, item) => sum + item.amount_total, 0);
  return {
    ...CONSTANT_FIELDS,
    allow_promotion_codes: parameters.allow_promotion_codes ?? null,
    billing_address_collection: parameters.billing_address_collection ?? null,
    locale: (parameters.locale ?? null) as Session['locale'],
    payment_method_types: parameters.payment_method_types ?? ['card'],
    submit_type: parameters.submit_type ?? null,
    id: newId('cs_test', 58),
    amount_subtotal: total,
    amount_total: total,
    cancel_url: parameters.cancel_url ?? null,
    client_reference_id: parameters.client_reference_id ?? null,
    created,
    currency: lineItems[0]!.currency,
    customer: customer ?? null,
    customer_creation: mode === 'payment' ? 'if_required' : customer === undefined ? 'always' : null,
    customer_email: customer_email ?? null,
    expires_at: created + OPEN_SECONDS,
    metadata: parameters.metadata,
    mode,
    payment_method_collection: mode === 'subscription' ? 'always' : 'if_required',
    payment_status: 'unpaid',
    status: 'open',
    success_url: parameters.success_url,
    total_details: { amount_discount: 0, amount_shipping: 0, amount_tax: 0 },
  };
}

/** Fields with the same value in every session of the sandbox. */
const CONSTANT_FIELDS = {
  object: 'checkout.session',
  adaptive_pricing: null,
  after_expiration: null,
  allowed_payment_method_types: null,
  automatic_tax: { enabled: false, liability: null, provider: null, status: null },
  client_secret: null,
  collected_information: null,
  consent: null,
  consent_collection: null,
  currency_conversion: null,
  custom_fields: [],
  custom_text: {
    after_submit: null,
    shipping_address: null,
    submit: null,
    terms_of_service_acceptance: null,
  },
  customer_account: null,
  customer_details: null,
  discounts: [],
  integration_identifier: null,
  invoice: null,
  invoice_creation: null,
  livemode: false,
  managed_payments: null,
  origin_context: null,
  payment_intent: null,
  payment_link: null,
  payment_method_configuration_details: null,
  payment_method_options: {},
  permissions: null,
  recovered_from: null,
  saved_payment_method_options: null,
  setup_intent: null,
  shipping_address_collection: null,
  shipping_cost: null,
  shipping_options: [],
  subscription: null,
  ui_mode: 'hosted_page',
  url: null,
  wallet_options: null,
} satisfies Partial<Session>;
