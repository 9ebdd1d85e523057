import type { Subscription } from '../stripe/subscription-view.ts';
import { hasEnded, servesPaidPeriod } from './course.ts';
import type { AgentView, Attention, Demand } from './decision.ts';

const mismatch = (cause: string, cure: string): Attention => ({ class: 'mismatch', cause, cure });

/** Stripe answers 404, which may also mean that another account or mode is asked: nothing is harmed. */
export const UNKNOWN_SUBSCRIPTION = mismatch(
  'Stripe does not know the subscription of this agent',
  'Check that STRIPE_SECRET_KEY belongs to the account that sold it. The agent stays as it is until you decide',
);

export const UNRECOGNIZED_STATUS = mismatch(
  'Stripe gives the subscription a status that this version does not know',
  'Look at the subscription at Stripe and update this service. The agent stays as it is until then',
);

/** What a person should look at although the decision stands. */
export function listAttention(
  subscription: Subscription,
  agent: AgentView,
  { demand, hasDebt, deletionDue }: { demand: Demand; hasDebt: boolean; deletionDue: boolean },
): Attention[] {
  const found: Attention[] = [];
  const { status, oddities } = subscription;
  if (oddities.length > 0)
    found.push(
      mismatch(
        `Stripe's answer was not fully understood: ${oddities.slice(0, 5).join('; ')}`,
        'Compare the subscription at Stripe with what is shown here. What was not understood harms nothing',
      ),
    );
  if (!hasDebt && (status === 'past_due' || status === 'unpaid'))
    found.push(
      mismatch(
        `Stripe calls the subscription ${status}, yet no invoice is owed`,
        'The agent runs. Mark the subscription as paid at Stripe, or cancel it',
      ),
    );
  if (status === 'canceled' && demand === 'run' && !hasDebt && servesPaidPeriod(subscription))
    found.push(
      mismatch(
        'The customer paid after Stripe had cancelled the subscription: it will not renew',
        'Ask the customer to subscribe again before the paid period ends',
      ),
    );
  found.push(...disputeAttention(subscription));
  if (agent.protected && deletionDue)
    found.push(
      mismatch(
        'The agent is due to be deleted, but it is protected',
        'Remove its protection to let it be deleted, or settle its subscription at Stripe',
      ),
    );
  return found;
}

function disputeAttention({ hasOpenDispute, lostDisputeOfCurrentPeriod }: Subscription): Attention[] {
  if (hasOpenDispute)
    return [
      mismatch(
        'A payment of this subscription is disputed; nothing is deleted until that is decided',
        'Answer the dispute at Stripe before its deadline',
      ),
    ];
  if (!lostDisputeOfCurrentPeriod) return [];
  return [
    mismatch(
      'The dispute about the current period was lost: its money went back to the customer',
      'Decide whether to keep this customer; the agent is suspended by the timetable unless the next period is paid',
    ),
  ];
}

/** An agent that is gone while its subscription goes on costs its buyer money for nothing. */
export function goneAttention(subscription: Subscription): Attention[] {
  if (hasEnded(subscription) || subscription.cancelAt !== null) return [];
  return [
    mismatch(
      'The agent is deleted, but Stripe goes on billing its subscription',
      'Cancel the subscription at Stripe, and refund what was paid for the time after the deletion',
    ),
  ];
}
