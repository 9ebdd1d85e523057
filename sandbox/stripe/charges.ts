import type { SandboxTransaction } from '../database.ts';
import { lockObject, readWithHidden, saveHidden } from './objects.ts';
import { toId } from './subscription-changes.ts';
import type { Customer, Invoice } from './wire.ts';

/** Data of a customer that its object does not show. */
export interface CustomerHidden {
  /** Every charge fails, because a control of the sandbox asked for it. */
  chargesFail?: boolean;
}

/** Makes every charge of a customer fail, or succeed again. */
export async function letChargesFail(
  trx: SandboxTransaction,
  customerId: string,
  chargesFail: boolean,
): Promise<Customer> {
  const customer = await lockObject<Customer>(trx, 'customer', customerId);
  const hidden: CustomerHidden = { chargesFail };
  await saveHidden(trx, customer.id, hidden);
  return customer;
}

/** Charges the customer of an open invoice. */
export async function chargeInvoice(
  trx: SandboxTransaction,
  invoice: Invoice,
): Promise<'succeeded' | 'failed'> {
  const customer = toId(invoice.customer ?? '');
  const { hidden } = await readWithHidden<Customer, CustomerHidden | null>(trx, 'customer', customer);
  return hidden?.chargesFail ? 'failed' : 'succeeded';
}
