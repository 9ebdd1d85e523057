import { errorMessage } from '../../errors.ts';
import { cancelSubscription } from '../../stripe/cancel-subscription.ts';
import type { FollowDeps } from './deps.ts';
import type { JudgedAgent } from './judge.ts';

/**
 * Cancels the subscriptions of a destroyed agent, if the operator has chosen so, so that its buyer is not
 * billed for nothing. Done after the commit: what a kill leaves out, the next look in half an hour does.
 */
export async function cancelOrphaned(
  { stripe, log, billing, onDestroy }: FollowDeps,
  { agentId, all, isDestroyed }: JudgedAgent,
): Promise<void> {
  if (!isDestroyed || billing !== 'act' || onDestroy !== 'cancel') return;
  for (const { subscriptionId, subscription } of all) {
    if (subscription === 'unknown' || subscription.endedAt !== null) continue;
    try {
      await cancelSubscription(stripe, subscriptionId);
      log.info(
        { event: 'billing.cancelled', agentId, subscriptionId },
        'cancelled the subscription of a destroyed agent',
      );
    } catch (error) {
      log.warn(
        { event: 'billing.cancel_failed', agentId, subscriptionId, error: errorMessage(error) },
        'could not cancel the subscription of a destroyed agent',
      );
    }
  }
}
