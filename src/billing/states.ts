import type { BillingState } from './decision.ts';

export interface BillingEdge {
  from: BillingState;
  to: BillingState;
  by: string;
}

/**
 * How the shown state of a subscription changes while nothing is lost. It is for people and for tests, and
 * decides nothing: every state follows from the present alone, so after an outage one may be skipped. From
 * each of them `unknown` follows while Stripe does not know the subscription, and the present state after it.
 */
export const BILLING_EDGES = [
  { from: 'incomplete', to: 'paid', by: 'the first invoice is paid' },
  { from: 'incomplete', to: 'ended', by: 'the first invoice expires' },
  { from: 'trial', to: 'paid', by: 'the first period is paid' },
  { from: 'trial', to: 'past_due', by: 'the first payment fails' },
  { from: 'trial', to: 'paused', by: 'the trial ends while collection is paused' },
  { from: 'trial', to: 'ending', by: 'a cancellation is planned' },
  { from: 'trial', to: 'ended', by: 'it is cancelled at once' },
  { from: 'paid', to: 'past_due', by: 'a payment fails' },
  { from: 'paid', to: 'paused', by: 'collection is paused' },
  { from: 'paid', to: 'ending', by: 'a cancellation is planned' },
  { from: 'paid', to: 'ended', by: 'it is cancelled at once' },
  { from: 'paused', to: 'paid', by: 'collection is resumed' },
  { from: 'paused', to: 'past_due', by: 'the payment of an earlier invoice fails' },
  { from: 'paused', to: 'ending', by: 'a cancellation is planned' },
  { from: 'paused', to: 'ended', by: 'it is cancelled at once' },
  { from: 'past_due', to: 'paid', by: 'nothing is owed any more' },
  { from: 'past_due', to: 'paused', by: 'nothing is owed while collection is paused' },
  { from: 'past_due', to: 'ending', by: 'nothing is owed until the planned end' },
  { from: 'past_due', to: 'suspended', by: 'the announced time is over' },
  { from: 'past_due', to: 'ended', by: 'it is cancelled at once' },
  { from: 'suspended', to: 'paid', by: 'nothing is owed any more' },
  { from: 'suspended', to: 'paused', by: 'nothing is owed while collection is paused' },
  { from: 'suspended', to: 'past_due', by: 'only a recent invoice is still owed' },
  { from: 'suspended', to: 'ending', by: 'nothing is owed until the planned end' },
  { from: 'suspended', to: 'ended', by: 'it is cancelled at once' },
  { from: 'ending', to: 'trial', by: 'the cancellation is undone during the trial' },
  { from: 'ending', to: 'paid', by: 'the cancellation is undone' },
  { from: 'ending', to: 'paused', by: 'the cancellation is undone while collection is paused' },
  { from: 'ending', to: 'past_due', by: 'a payment fails' },
  { from: 'ending', to: 'ended', by: 'the period ends' },
] as const satisfies readonly BillingEdge[];
