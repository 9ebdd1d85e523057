import type { Subscription } from '../stripe/subscription.ts';
import type { AgentView, Decision } from './decision.ts';
import type { BillingPolicy } from './policy.ts';

/**
 * Says what should be true of an agent: from its subscription's present state at Stripe, what was announced
 * before, the policy and the time. Pure. `unknown`: Stripe does not know the subscription.
 */
export declare function decide(
  subscription: Subscription | 'unknown',
  agent: AgentView,
  policy: BillingPolicy,
  now: Date,
): Decision;
