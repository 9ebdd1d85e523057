import type { PlanRules } from '../../config/plans.ts';
import type { Database } from '../../database/connect.ts';
import type { Log } from '../../log.ts';
import type { Clock } from '../../processes/clock.ts';
import type { Queue } from '../../queue/queue.ts';
import type { StripeAccount } from '../../stripe/stripe.ts';
import type { BillingPolicy } from '../policy.ts';

/** What following payments needs. */
export interface FollowDeps {
  database: Database;
  queue: Queue;
  log: Log;
  clock: Clock;
  stripe: StripeAccount;
  policy: BillingPolicy;
  /** Whether a checkout's metadata may name the plan; default: yes. */
  plans?: Pick<PlanRules, 'metadata'> | undefined;
  /** Whether the price of an order's subscription decides its plan; default: no. */
  pricesDecide?: boolean | undefined;
  /** `observe`: decides and logs, and changes nothing. */
  billing: 'act' | 'observe';
  /** Whether what was unpaid or cancelled before this installation followed payments has consequences. */
  actsOnPast: boolean;
  /** What happens to a subscription that is paid on although its agent was destroyed. */
  onDestroy: 'flag' | 'cancel';
  /** Whether buyers get mail, so that one without an address is not told what is announced; default: no. */
  mailsBuyers?: boolean | undefined;
  /** Whether events of Stripe's test mode count. */
  events: 'sandbox' | 'live';
}
