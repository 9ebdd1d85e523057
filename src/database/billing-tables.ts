import type { Defaulted, DefaultedJson, DefaultTimestamp, NullableJson, Timestamp } from './column-types.ts';
import type { AttentionClass } from './vocabulary.ts';

/** A subscription that pays for an agent, as last read from Stripe, with what was decided about it. */
export interface SubscriptionTable {
  subscription_id: string;
  agent_id: string;
  customer_id: string | null;
  /** Of several subscriptions of an agent, the one whose decision counts; one at a time. */
  governs: Defaulted<boolean>;
  /** Raised by everything that may have changed it. Work is pending while it exceeds `seen_signals`. */
  signals: Defaulted<number>;
  /** The signals before the last look at Stripe. */
  seen_signals: Defaulted<number>;
  signalled_at: DefaultTimestamp;
  /** Business time at which a new decision can differ without a signal. */
  next_at: Timestamp | null;
  /** Raised whenever a worker takes the row: only the last one may store what it read. */
  claim: Defaulted<number>;
  claimed_until: Timestamp | null;
  /** As Stripe last described it; null before the first look, and if Stripe does not know it. */
  view: NullableJson<Record<string, unknown>> | null;
  fetched_at: Timestamp | null;
  state: string | null;
  demand: string | null;
  unpaid_since: Timestamp | null;
  suspend_at: Timestamp | null;
  hibernate_at: Timestamp | null;
  delete_at: Timestamp | null;
  cancel_at: Timestamp | null;
  /** Observe mode: what would have been done. */
  would: DefaultedJson<string[]>;
  last_error: string | null;
  failures: Defaulted<number>;
  error_since: Timestamp | null;
  retry_at: DefaultTimestamp;
  linked_at: DefaultTimestamp;
}

/** A stored event whose charge still has to be looked up at Stripe. */
export interface UnresolvedSignalTable {
  stripe_event_id: string;
  charge_id: string;
  retry_at: DefaultTimestamp;
  failures: Defaulted<number>;
}

/** What a person should know about payments and agents that do not fit. */
export interface FindingTable {
  /** Who found it, and removes it again: `follower`, `nightly`, `stripe`, `secrets`, `sweep`. */
  source: string;
  key: string;
  class: AttentionClass;
  agent_id: string | null;
  subscription_id: string | null;
  cause: string;
  cure: string;
  /** Business time. */
  since: Timestamp;
  /** Of a sweep's: the cycle of sweeps that saw it last, named by its first sweep; null otherwise. */
  seen_in: number | null;
  /** Of a sweep's: the Hetzner project; null for what is on the tailnet, and otherwise. */
  project: string | null;
}

/** When regular work last began. */
export interface BillingRunTable {
  name: string;
  began_at: Timestamp;
  business_at: Timestamp;
}
