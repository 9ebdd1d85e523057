import { type BillingDurations, DEFAULT_DURATIONS } from '../config/billing.ts';
import { PLANS, PLANS_FROM_METADATA, type PlanRules } from '../config/plans.ts';

const DAY = 24 * 3600 * 1000;

/** How long each step after a missed payment or a cancellation takes. All durations in milliseconds. */
export interface BillingPolicy extends BillingDurations {
  /** From the due date to the warning that names the date of the suspension. */
  warnAgainAfterMs: number;
  /** How long before a deletion it is announced; longest first. */
  deleteNoticesMs: readonly number[];
  /** The shortest time between an announcement and the harm that it announces. */
  leastNoticeMs: number;
  /** The plan of each known price; keys are Stripe's price ids and lookup keys. */
  planOfPrice: Readonly<Record<string, string>>;
  /** All plans, smallest first. */
  planOrder: readonly string[];
}

const DELETE_NOTICES_MS = [7 * DAY, 3 * DAY, DAY];
const LEAST_NOTICE_MS = DAY;

/**
 * Derives the policy from the operator's durations. Warnings come after half the time to the suspension. With
 * short durations, as in a trial run, the least notice shrinks to a quarter of the shortest one.
 */
export function createPolicy(
  durations: BillingDurations = DEFAULT_DURATIONS,
  { ofPrice }: Pick<PlanRules, 'ofPrice'> = PLANS_FROM_METADATA,
): BillingPolicy {
  const { suspendAfterMs, hibernateAfterMs, deleteAfterMs, cancelGraceMs } = durations;
  const shortest = Math.min(suspendAfterMs, hibernateAfterMs, deleteAfterMs, cancelGraceMs);
  return {
    ...durations,
    warnAgainAfterMs: suspendAfterMs / 2,
    deleteNoticesMs: DELETE_NOTICES_MS,
    leastNoticeMs: Math.min(LEAST_NOTICE_MS, shortest / 4),
    planOfPrice: ofPrice,
    planOrder: PLANS,
  };
}
