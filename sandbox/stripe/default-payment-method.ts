import type { SandboxTransaction } from '../database.ts';
import { invalidRequest } from './errors.ts';
import { readObject, readWithHidden } from './objects.ts';
import type { MethodHidden } from './payment-method-object.ts';
import { toId } from './subscription-changes.ts';
import { findCardByNumber, type TestCard, WORKING_CARD } from './test-cards.ts';
import type { Customer, Invoice, PaymentMethod, Subscription } from './wire.ts';

/** A payment method with the test card behind it. */
export interface PayingMethod {
  method: PaymentMethod;
  card: TestCard;
}

/** Returns the default method of an invoice, else of its subscription, else of its customer. */
export async function findDefaultMethod(
  trx: SandboxTransaction,
  invoice: Invoice,
): Promise<PayingMethod | undefined> {
  const id =
    invoice.default_payment_method ??
    (await readSubscription(trx, invoice))?.default_payment_method ??
    (await readCustomer(trx, invoice))?.invoice_settings.default_payment_method;
  return id ? readMethod(trx, toId(id)) : undefined;
}

/**
 * Reads a payment method that the request's parameter `param` names.
 * @throws StripeError 400 if it is unknown or not attached to the customer
 */
export async function readMethodOf(
  trx: SandboxTransaction,
  customerId: string,
  id: string,
  param: string,
): Promise<PayingMethod> {
  const paying = await readMethod(trx, id, param);
  const owner = paying.method.customer;
  if (owner !== null && toId(owner) === customerId) return paying;
  throw invalidRequest(
    `The customer does not have a payment method with the ID ${id}. The payment method must be attached to the customer.`,
    { code: 'resource_missing', param },
  );
}

async function readMethod(trx: SandboxTransaction, id: string, param?: string): Promise<PayingMethod> {
  const kind = 'payment_method';
  const { body, hidden } = await readWithHidden<PaymentMethod, MethodHidden>(trx, kind, id, param);
  return { method: body, card: findCardByNumber(hidden.number) ?? WORKING_CARD };
}

async function readSubscription(
  trx: SandboxTransaction,
  { parent }: Invoice,
): Promise<Subscription | undefined> {
  const id = parent?.subscription_details?.subscription;
  return id ? readObject<Subscription>(trx, 'subscription', toId(id)) : undefined;
}

async function readCustomer(trx: SandboxTransaction, { customer }: Invoice): Promise<Customer | undefined> {
  return customer ? readObject<Customer>(trx, 'customer', toId(customer)) : undefined;
}
