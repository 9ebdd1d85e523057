import type { Subscription } from '../stripe/subscription-view.ts';
import { hasEnded } from './course.ts';
import type { Attention } from './decision.ts';
import { findPlans } from './plan-change.ts';
import type { BillingPolicy } from './policy.ts';

/**
 * A subscription that bills for several agents while one belongs to it: a quantity above one, or two items of
 * one plan. Without a file of plans nothing says which items are agents, so each counts by itself.
 */
export function quantityAttention(
  subscription: Subscription,
  policy: Pick<BillingPolicy, 'planOfPrice'>,
): Attention[] {
  if (hasEnded(subscription)) return [];
  const billed = countBilled(subscription, policy);
  if (billed < 2) return [];
  return [
    {
      class: 'mismatch',
      cause: `The subscription bills for ${billed} agents, and one belongs to it`,
      cure: 'Set its quantity to one at Stripe and refund what was paid too much. If it bills something beside the agent, name the prices of agents in the file of BILLING_PLANS',
    },
  ];
}

function countBilled(subscription: Subscription, policy: Pick<BillingPolicy, 'planOfPrice'>): number {
  const known = Map.groupBy(findPlans(subscription, policy), ({ plan }) => plan);
  const counts = [...known.values()].map((items) => items.reduce((sum, { quantity }) => sum + quantity, 0));
  if (Object.keys(policy.planOfPrice).length > 0) return Math.max(0, ...counts);
  return Math.max(0, ...subscription.items.map(({ quantity }) => quantity));
}
