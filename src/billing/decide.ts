import { z } from 'zod';
import { agentIdSchema, newAgent, planSchema, regionSchema, userIdSchema } from '../agents/new-agent.ts';
import type { NewAgent } from '../agents/store.ts';
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

const sessionSchema = z.object({
  payment_status: z.unknown(),
  subscription: reference,
  customer: reference,
  metadata: z.unknown(),
});

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
export function decide(event: StripeEvent, mode: 'sandbox' | 'live'): BillingDecision {
  if (mode === 'live' && !event.livemode) {
    return { kind: 'ignore', reason: 'A test event in live mode is not acted on' };
  }
  if (!PAID_SESSION_TYPES.includes(event.type)) {
    return { kind: 'ignore', reason: `Events of type ${event.type} are not acted on` };
  }
  if (event.objectId === undefined) {
    throw new InvalidInputError('The body is not a checkout event: data.object.id is not an id');
  }
  const session = sessionSchema.parse(event.object);
  if (event.type === 'checkout.session.completed' && session.payment_status === 'unpaid') {
    return { kind: 'ignore', reason: 'The checkout session is completed but not paid yet' };
  }
  const order: Order = {
    sessionId: event.objectId,
    subscriptionId: session.subscription,
    customerId: session.customer,
    metadata: isRecord(session.metadata) ? session.metadata : {},
  };
  return decideOrder(order, session.metadata ?? {});
}

function decideOrder(order: Order, metadata: unknown): BillingDecision {
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
