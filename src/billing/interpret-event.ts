import { z } from 'zod';
import { agentIdSchema, newAgent, planSchema, regionSchema, userIdSchema } from '../agents/new-agent.ts';
import type { NewAgent } from '../agents/store.ts';
import { PLANS_FROM_METADATA, type PlanRules } from '../config/plans.ts';
import { type Order, readCheckout } from '../stripe/checkout.ts';
import type { StripeEvent } from '../stripe/event.ts';

/**
 * What an event means for this service: an agent to provision, a paid order that needs a person, or nothing.
 */
export type BillingDecision =
  | { kind: 'provision'; order: Order; agent: NewAgent }
  | { kind: 'attention'; order: Order; reason: string }
  | { kind: 'ignore'; reason: string };

const metadataSchema = z.object(
  {
    agentId: agentIdSchema,
    userId: userIdSchema,
    region: regionSchema,
    // Stripe sends an empty string for a form field that was left empty.
    plan: z.preprocess((value) => (value === '' ? undefined : value), planSchema.optional()),
  },
  { error: 'must be an object of strings' },
);

/**
 * Interprets a signed Stripe event. Whether the agent's id is free is decided later, in the transaction that
 * inserts the agent (record.ts). Where plans come from prices, a plan in the metadata is ignored: the agent
 * begins with the default plan, and the decision about its subscription changes it.
 * @throws InvalidInputError for a checkout event whose object is not a session
 */
export function interpretEvent(
  event: StripeEvent,
  mode: 'sandbox' | 'live',
  plans: Pick<PlanRules, 'metadata'> = PLANS_FROM_METADATA,
): BillingDecision {
  if (mode === 'live' && !event.livemode)
    return { kind: 'ignore', reason: 'A test event in live mode is not acted on' };
  const news = readCheckout(event);
  switch (news.kind) {
    case 'none':
      return { kind: 'ignore', reason: news.reason };
    case 'unclear':
      return { kind: 'attention', order: news.order, reason: news.reason };
    case 'paid':
      return interpretOrder(news.order, plans.metadata ? news.metadata : withoutPlan(news.metadata));
  }
}

function withoutPlan(metadata: unknown): unknown {
  if (typeof metadata !== 'object' || metadata === null) return metadata;
  return { ...metadata, plan: undefined };
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
