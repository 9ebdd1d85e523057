import type { AgentStatus } from '../database/vocabulary.ts';

/** How a subscription stands, as people see it. docs/billing.md draws them; a test compares. */
export const BILLING_STATES = [
  'incomplete',
  'trial',
  'paid',
  'paused',
  'past_due',
  'suspended',
  'ending',
  'ended',
  'unknown',
] as const;
export type BillingState = (typeof BILLING_STATES)[number];

/** From the mildest to the hardest. Each includes what the ones before it require. */
export const DEMANDS = ['run', 'suspend', 'hibernate', 'destroy'] as const;
export type Demand = (typeof DEMANDS)[number];

/** The notices that announce something to the buyer before it happens. */
export const ANNOUNCEMENT_TYPES = [
  'agent.payment_failed',
  'agent.will_suspend',
  'agent.will_delete',
] as const;
export type AnnouncementType = (typeof ANNOUNCEMENT_TYPES)[number];

/** A notice that was queued, at a business time. Notices of other types have no effect. */
export interface QueuedAnnouncement {
  type: string;
  key: string;
  at: Date;
}

export interface AgentView {
  status: AgentStatus | 'hibernated';
  protected: boolean;
  plan: string;
  /** A person has chosen its plan, whatever the price says; default: no. */
  keepsPlan?: boolean;
  /** What was stored after the last decision; shown while Stripe does not know the subscription. */
  unpaidSince: Date | null;
  /** When the `payment` hold was placed; null without one. */
  suspendedAt: Date | null;
  announcements: readonly QueuedAnnouncement[];
}

export interface Announcement {
  type: AnnouncementType;
  /** Subscription, cause, its date and the kind: the same as long as the cause is the same. */
  key: string;
  /** What it announces. */
  harm: 'suspend' | 'hibernate' | 'destroy';
  /** When that will happen at the earliest. */
  harmAt: Date | null;
}

/** Something that needs a person. */
export interface Attention {
  class: 'mismatch' | 'order' | 'configuration';
  cause: string;
  cure: string;
}

/** What should be true of an agent, and until when that holds without news from Stripe. */
export interface Decision {
  state: BillingState;
  /** The `payment` hold. */
  hold: { wanted: boolean; since: Date };
  /** A dispute is open: nothing is hibernated or deleted. */
  disputeHold: boolean;
  demand: Demand;
  unpaidSince: Date | null;
  suspendAt: Date | null;
  hibernateAt: Date | null;
  deleteAt: Date | null;
  cancelAt: Date | null;
  /** Due now and not queued yet. */
  announce: Announcement[];
  plan: 'keep' | { resizeTo: string };
  attention: Attention[];
  /** When deciding again can give another result without a new signal; null if never. */
  nextAt: Date | null;
}
