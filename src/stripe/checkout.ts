import { z } from 'zod';
import { cutText } from '../database/storable.ts';
import { InvalidInputError } from '../errors.ts';
import { ORDER_EVENTS } from './acted-on.ts';
import type { StripeEvent } from './event.ts';

/** An order as its checkout session describes it. */
export interface Order {
  sessionId: string;
  subscriptionId: string | undefined;
  customerId: string | undefined;
  metadata: Record<string, unknown>;
}

/** What an event says about an order. `metadata` is unvalidated, exactly as sent. */
export type CheckoutNews =
  | { kind: 'none'; reason: string }
  | { kind: 'paid'; order: Order; metadata: unknown }
  /** Paid, but in a mode that is not known to buy an agent. */
  | { kind: 'unclear'; order: Order; reason: string };

const PAID_SESSION_TYPES: readonly string[] = ORDER_EVENTS;

const reference = z
  .union([z.string(), z.object({ id: z.string() }).transform((expanded) => expanded.id)])
  .pipe(z.string().regex(/^[\x21-\x7e]{1,255}$/))
  .optional()
  .catch(undefined);

/** Accepts any values, so that no order is lost; the code below interprets odd ones. */
const sessionSchema = z.object({
  mode: z.unknown().optional(),
  payment_status: z.unknown().optional(),
  subscription: reference,
  customer: reference,
  metadata: z.unknown().optional(),
});
type Session = z.infer<typeof sessionSchema>;

/** `no_payment_required` means a trial or a full discount. */
const PAID: readonly unknown[] = ['paid', 'no_payment_required'];
/** This event means that the money has arrived, even if its session still says `unpaid`. */
const PAID_BY_TYPE = 'checkout.session.async_payment_succeeded';
/** A session without a mode comes from a custom client, as in docs/api.md, and not from Stripe's API. */
const BUYS: readonly unknown[] = ['subscription', 'payment', undefined];

const THIN =
  'A thin event (API v2) has no data.object and is not acted on: ' +
  'configure the endpoint at Stripe to send snapshot events (payload style "Snapshot")';
const CONNECTED =
  'An event of a connected account is not acted on: only orders of this account itself are provisioned';

/**
 * Reads what a signed event says about an order.
 * @throws InvalidInputError for a checkout event whose object is not a session
 */
export function readCheckout(event: StripeEvent): CheckoutNews {
  if (event.connected) return { kind: 'none', reason: CONNECTED };
  if (event.object === undefined) return { kind: 'none', reason: THIN };
  if (!PAID_SESSION_TYPES.includes(event.type))
    return { kind: 'none', reason: `Events of type ${event.type} are not acted on` };
  if (event.objectId === undefined)
    throw new InvalidInputError('The body is not a checkout event: data.object.id is not an id');
  const session = sessionSchema.parse(event.object);
  const unpaid = whyUnpaid(event.type, session);
  if (unpaid !== undefined) return { kind: 'none', reason: unpaid };
  const order: Order = {
    sessionId: event.objectId,
    subscriptionId: session.subscription,
    customerId: session.customer,
    metadata: isRecord(session.metadata) ? session.metadata : {},
  };
  if (BUYS.includes(session.mode)) return { kind: 'paid', order, metadata: session.metadata ?? {} };
  return { kind: 'unclear', order, reason: `mode ${describe(session.mode)} is not known to buy an agent` };
}

function whyUnpaid(type: string, { mode, payment_status: status }: Session): string | undefined {
  if (mode === 'setup') return 'The checkout session buys nothing: it saves a payment method (mode setup)';
  if (PAID.includes(status) || (type === PAID_BY_TYPE && status === 'unpaid')) return undefined;
  return `The checkout session is not paid: payment_status ${describe(status)}`;
}

/** Describes an unexpected value briefly, for people. */
function describe(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'is a list' : 'is an object';
  return value === undefined ? 'is missing' : cutText(JSON.stringify(value), 60);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
