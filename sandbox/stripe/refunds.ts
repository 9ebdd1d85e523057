import { z } from 'zod';
import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest } from './errors.ts';
import { type EventCause, emitEvent } from './events.ts';
import { insertObject, listObjects, lockObject, readObject, saveObject } from './objects.ts';
import { changeMetadata, integer, metadata, metadataChange, text } from './parameters.ts';
import { equals, mountResource, type Resource } from './resource.ts';
import { toId } from './subscription-changes.ts';
import { type Charge, newId, nowSeconds, type PaymentIntent, type Refund, toList } from './wire.ts';

export const refunds: Resource<Refund> = {
  object: 'refund',
  path: '/refunds',
  filters: { charge: equals(text, 'charge'), payment_intent: equals(text, 'payment_intent') },
  expandable: { charge: 'charge', payment_intent: 'payment_intent' },
};

const parameters = {
  amount: integer.pipe(z.number().min(1)).optional(),
  charge: text.optional(),
  payment_intent: text.optional(),
  metadata,
  reason: z.enum(['duplicate', 'fraudulent', 'requested_by_customer']).optional(),
};

export function mountRefunds(endpoints: Endpoints): void {
  mountResource(endpoints, refunds);
  endpoints.post('/refunds', { answers: 'refund', parameters }, async (trx, { input, request }) => {
    const charge = await findCharge(trx, input);
    return refundCharge(trx, charge, input, request);
  });
  const updated = { answers: 'refund', parameters: { metadata: metadataChange } };
  endpoints.post('/refunds/:id', updated, async (trx, { id, input }) => {
    const before = await lockObject<Refund>(trx, 'refund', id);
    const after: Refund = { ...before, metadata: changeMetadata(before.metadata ?? {}, input.metadata) };
    await saveObject(trx, after);
    return after;
  });
}

async function findCharge(
  trx: SandboxTransaction,
  { charge, payment_intent }: { charge?: string | undefined; payment_intent?: string | undefined },
): Promise<string> {
  if ((charge === undefined) === (payment_intent === undefined))
    throw invalidRequest('One of the following params should be provided: payment_intent or charge.');
  if (charge !== undefined) return (await readObject<Charge>(trx, 'charge', charge, 'charge')).id;
  const intent = await readObject<PaymentIntent>(trx, 'payment_intent', payment_intent!, 'payment_intent');
  if (intent.latest_charge) return toId(intent.latest_charge);
  throw invalidRequest(`This PaymentIntent (${intent.id}) does not have a successful charge to refund.`, {
    param: 'payment_intent',
  });
}

/** Refunds a charge, in whole without an `amount`, and emits `charge.refunded`. Its invoice stays paid. */
export async function refundCharge(
  trx: SandboxTransaction,
  chargeId: string,
  {
    amount,
    reason,
    metadata = {},
  }: Partial<Pick<z.output<z.ZodObject<typeof parameters>>, 'amount' | 'metadata' | 'reason'>>,
  request?: EventCause,
): Promise<Refund> {
  const charge = await lockObject<Charge>(trx, 'charge', chargeId);
  const left = charge.amount_captured - charge.amount_refunded;
  const refunded = amount ?? left;
  refuseRefund(charge, refunded, left);
  const refund = newRefund(charge, refunded, { reason: reason ?? null, metadata });
  await insertObject(trx, refund);
  const after: Charge = {
    ...charge,
    amount_refunded: charge.amount_refunded + refunded,
    refunded: refunded === left,
  };
  await saveObject(trx, after);
  const previous = { amount_refunded: charge.amount_refunded, refunded: charge.refunded };
  await emitEvent(trx, { type: 'charge.refunded', object: after, previous, ...(request && { request }) });
  return refund;
}

/** Lists the refunds of a charge, which it contains only on request. */
export async function listRefunds(database: SandboxDatabase, { id }: Charge) {
  const options = { filter: { charge: id }, page: { limit: 10 } };
  const { data, hasMore } = await listObjects<Refund>(database, 'refund', options);
  return toList(`/v1/charges/${id}/refunds`, data, hasMore);
}

function refuseRefund(charge: Charge, amount: number, left: number): void {
  if (charge.status !== 'succeeded')
    throw invalidRequest(`Charge ${charge.id} has not succeeded and cannot be refunded.`);
  if (left === 0)
    throw invalidRequest(`Charge ${charge.id} has already been refunded.`, {
      code: 'charge_already_refunded',
    });
  if (charge.disputed)
    throw invalidRequest(`Charge ${charge.id} has been charged back; cannot issue a refund.`, {
      code: 'charge_disputed',
    });
  if (amount > left)
    throw invalidRequest(`Refund amount (${amount}) is greater than unrefunded amount on charge (${left}).`, {
      param: 'amount',
    });
}

function newRefund(
  charge: Charge,
  amount: number,
  { reason, metadata }: { reason: Refund['reason']; metadata: Record<string, string> },
): Refund {
  return {
    id: newId('re'),
    object: 'refund',
    amount,
    balance_transaction: null,
    charge: charge.id,
    created: nowSeconds(),
    currency: charge.currency,
    customer: charge.customer,
    customer_account: null,
    destination_details: { type: 'card', card: { reference_status: 'pending', type: 'refund' } },
    metadata,
    payment_intent: charge.payment_intent,
    payment_method: charge.payment_method,
    reason,
    receipt_number: null,
    source_transfer_reversal: null,
    status: 'succeeded',
    transfer_reversal: null,
  };
}
