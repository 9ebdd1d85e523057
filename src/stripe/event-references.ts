import { z } from 'zod';
import type { StripeEvent } from './event.ts';

/** Which subscriptions an event may be about. */
export interface EventReferences {
  subscriptionId: string | undefined;
  customerId: string | undefined;
  /** Only if neither is known: its customer has to be looked up. */
  chargeId: string | undefined;
}

/** Events after which a subscription, or what is owed for it, may differ. */
const SIGNALS = [
  'checkout.session.',
  'customer.subscription.',
  'invoice.',
  'credit_note.',
  'charge.refunded',
  'charge.dispute.',
];

/** An id, alone or in an expanded object. */
const reference = z
  .union([z.string(), z.object({ id: z.string() }).transform((expanded) => expanded.id)])
  .pipe(z.string().regex(/^[\x21-\x7e]{1,255}$/))
  .optional()
  .catch(undefined);

/** API versions before 2025-03-31 name an invoice's subscription on the invoice itself. */
const details = z.object({ subscription: reference });
const parent = z
  .object({ subscription_details: details.nullish().catch(undefined) })
  .nullish()
  .catch(undefined);
const withCustomer = z.object({ customer: reference }).catch({ customer: undefined });

const objectSchema = z.object({
  customer: reference,
  subscription: reference,
  charge: z.unknown().optional(),
  parent,
});

/**
 * Reads which subscriptions a signed event may be about. Events are only signals, so an odd object is no
 * error: what it does not name is not signalled.
 * @returns undefined for an event that says nothing about subscriptions
 */
export function readReferences(event: StripeEvent): EventReferences | undefined {
  if (event.connected || event.object === undefined) return undefined;
  if (!SIGNALS.some((prefix) => event.type.startsWith(prefix))) return undefined;
  const object = objectSchema.safeParse(event.object).data;
  if (object === undefined) return undefined;
  const subscriptionId = event.type.startsWith('customer.subscription.')
    ? event.objectId
    : (object.parent?.subscription_details?.subscription ?? object.subscription);
  const customerId = object.customer ?? withCustomer.parse(object.charge).customer;
  // A dispute names its charge, and nothing else of ours.
  const isKnown = subscriptionId !== undefined || customerId !== undefined;
  const chargeId = isKnown ? undefined : reference.parse(object.charge);
  return { subscriptionId, customerId, chargeId };
}
