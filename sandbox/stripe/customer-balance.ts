import type { SandboxTransaction } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest, resourceMissing } from './errors.ts';
import { insertObject, listObjects, lockObject, readObject, saveObject } from './objects.ts';
import { currency, integer, metadata, pageParameters, text } from './parameters.ts';
import { toId } from './subscription-changes.ts';
import { type BalanceTransaction, type Customer, newId, nowSeconds, toList } from './wire.ts';

const KIND = 'customer_balance_transaction';

/** Serves a customer's balance, which the next invoices use up. Negative amounts are credit. */
export function mountCustomerBalance(endpoints: Endpoints): void {
  endpoints.declare(KIND, {
    expandable: { credit_note: 'credit_note', customer: 'customer', invoice: 'invoice' },
  });
  const path = '/customers/:id/balance_transactions';
  const listed = { answers: `${KIND}[]`, parameters: pageParameters };
  endpoints.get(path, listed, async (database, { id, input: page }) => {
    const customer = (await readObject<Customer>(database, 'customer', id)).id;
    const options = { filter: { customer }, page };
    const { data, hasMore } = await listObjects<BalanceTransaction>(database, KIND, options);
    return toList(`/v1/customers/${id}/balance_transactions`, data, hasMore);
  });
  endpoints.get(`${path}/:inner`, { answers: KIND, parameters: {} }, async (database, { id, innerId }) => {
    const found = await readObject<BalanceTransaction>(database, KIND, innerId);
    if (toId(found.customer) !== id) throw resourceMissing(KIND, innerId);
    return found;
  });
  const created = {
    answers: KIND,
    parameters: { amount: integer, currency, description: text.max(350).optional(), metadata },
  };
  endpoints.post(path, created, (trx, { id, input }) =>
    changeBalance(trx, id, { ...input, type: 'adjustment' }),
  );
}

interface BalanceChange {
  /** In the smallest currency unit. Negative amounts are credit. */
  amount: number;
  currency: string;
  type: 'adjustment' | 'applied_to_invoice' | 'credit_note';
  description?: string | undefined;
  invoice?: string;
  creditNote?: string;
  metadata?: Record<string, string>;
}

/** Adds to a customer's balance, and records it. @throws StripeError 400 for a second currency */
export async function changeBalance(
  trx: SandboxTransaction,
  customerId: string,
  { amount, currency, type, description, invoice, creditNote, metadata = {} }: BalanceChange,
): Promise<BalanceTransaction> {
  const customer = await lockObject<Customer>(trx, 'customer', customerId);
  if (customer.currency && customer.currency !== currency)
    throw invalidRequest(`The customer's currency is ${customer.currency}.`, { param: 'currency' });
  const after: Customer = { ...customer, balance: customer.balance + amount, currency };
  await saveObject(trx, after);
  const transaction: BalanceTransaction = {
    id: newId('cbtxn'),
    object: KIND,
    amount,
    checkout_session: null,
    created: nowSeconds(),
    credit_note: creditNote ?? null,
    currency,
    customer: customer.id,
    customer_account: null,
    description: description ?? null,
    ending_balance: after.balance,
    invoice: invoice ?? null,
    livemode: false,
    metadata,
    type,
  };
  await insertObject(trx, transaction);
  return transaction;
}
