import { z } from 'zod';
import { agentIdSchema, newAgent, planSchema, regionSchema, userIdSchema } from '../agents/new-agent.ts';
import type { NewAgent } from '../agents/store.ts';
import { cutText } from '../database/storable.ts';
import { InvalidInputError } from '../errors.ts';
import type { StripeEvent } from './stripe-event.ts';

/** What Stripe says was bought. */
export interface Order {
  sessionId: string;
  subscriptionId: string | undefined;
  customerId: string | undefined;
  metadata: Record<string, unknown>;
}

/** What an event means: an agent to provision, a paid order that a person must look at, or nothing for this service. */
export type BillingDecision =
  | { kind: 'provision'; order: Order; agent: NewAgent }
  | { kind: 'attention'; order: Order; reason: string }
  | { kind: 'ignore'; reason: string };

const PAID_SESSION_TYPES = ['checkout.session.completed', 'checkout.session.async_payment_succeeded'];

const reference = z
  .union([z.string(), z.object({ id: z.string() }).transform((expanded) => expanded.id)])
  .pipe(z.string().regex(/^[\x21-\x7e]{1,255}$/))
  .optional()
  .catch(undefined);

/** Nothing in it is wrong enough to lose the order: what is not as it should be is judged below. */
const sessionSchema = z.object({
  mode: z.unknown().optional(),
  payment_status: z.unknown().optional(),
  subscription: reference,
  customer: reference,
  metadata: z.unknown().optional(),
});

/** `no_payment_required`: a trial, or a discount of everything. */
const PAID: readonly unknown[] = ['paid', 'no_payment_required'];
/** That the money has come is what this event says; the session in it may be as it was before. */
const PAID_BY_TYPE = 'checkout.session.async_payment_succeeded';
/** A session that says no mode is not from Stripe's API but from a client of one's own; docs/api.md shows one. */
const BUYS: readonly unknown[] = ['subscription', 'payment', undefined];

const THIN =
  'A thin event (API v2), which has no data.object, is not acted on: ' +
  'let the endpoint at Stripe send snapshot events (payload style "Snapshot")';
const CONNECTED =
  'An event of a connected account is not acted on: only what this account itself sells is provisioned';

const metadataSchema = z.object(
  {
    agentId: agentIdSchema,
    userId: userIdSchema,
    region: regionSchema,
    // A form field that was left empty.
    plan: z.preprocess((value) => (value === '' ? undefined : value), planSchema.optional()),
  },
  { error: 'must be an object of strings' },
);

/**
 * What a Stripe event means for this service; what it says is taken as signed. Whether the agent's id is free is for
 * the transaction to say that writes it (record.ts).
 * @throws InvalidInputError for a checkout event whose object is no session.
 */
export function interpretEvent(event: StripeEvent, mode: 'sandbox' | 'live'): BillingDecision {
  if (mode === 'live' && !event.livemode) {
    return { kind: 'ignore', reason: 'A test event in live mode is not acted on' };
  }
  if (event.connected) return { kind: 'ignore', reason: CONNECTED };
  if (event.object === undefined) return { kind: 'ignore', reason: THIN };
  if (!PAID_SESSION_TYPES.includes(event.type)) {
    return { kind: 'ignore', reason: `Events of type ${event.type} are not acted on` };
  }
  if (event.objectId === undefined) {
    throw new InvalidInputError('The body is not a checkout event: data.object.id is not an id');
  }
  const session = sessionSchema.parse(event.object);
  if (session.mode === 'setup') {
    return {
      kind: 'ignore',
      reason: 'The checkout session buys nothing: it saves a way to pay (mode setup)',
    };
  }
  if (!isPaid(event.type, session.payment_status)) {
    return {
      kind: 'ignore',
      reason: `The checkout session is not paid: payment_status ${told(session.payment_status)}`,
    };
  }
  const order: Order = {
    sessionId: event.objectId,
    subscriptionId: session.subscription,
    customerId: session.customer,
    metadata: isRecord(session.metadata) ? session.metadata : {},
  };
  if (!BUYS.includes(session.mode)) {
    return { kind: 'attention', order, reason: `mode ${told(session.mode)} is not one that is known to buy` };
  }
  return interpretOrder(order, session.metadata ?? {});
}

function isPaid(type: string, status: unknown): boolean {
  return PAID.includes(status) || (type === PAID_BY_TYPE && status === 'unpaid');
}

/** A foreign value for a person to read: whatever it is, in a few words. */
function told(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'is a list' : 'is an object';
  return value === undefined ? 'is missing' : cutText(JSON.stringify(value), 60);
}

function interpretOrder(order: Order, metadata: unknown): BillingDecision {
  const parsed = metadataSchema.safeParse(metadata);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) => `${['metadata', ...issue.path].join('.')} ${issue.message}`,
    );
    return { kind: 'attention', order, reason: problems.join('; ') };
  }
  const agent = newAgent({ ...parsed.data, subscriptionId: order.subscriptionId });
  return { kind: 'provision', order, agent };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
