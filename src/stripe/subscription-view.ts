/** Stripe's eight statuses, and one for a status that this version does not know. */
export const SUBSCRIPTION_STATUSES = [
  'incomplete',
  'incomplete_expired',
  'trialing',
  'active',
  'past_due',
  'canceled',
  'unpaid',
  'paused',
  'unrecognized',
] as const;
export type SubscriptionStatus = (typeof SUBSCRIPTION_STATUSES)[number];

export const INVOICE_STATUSES = ['draft', 'open', 'paid', 'uncollectible', 'void', 'unrecognized'] as const;
export type InvoiceStatus = (typeof INVOICE_STATUSES)[number];

/** Why a subscription was cancelled; undefined where Stripe does not say. */
export type CancelReason = 'requested' | 'payment_failed' | 'payment_disputed' | undefined;

export interface SubscriptionItem {
  priceId: string;
  lookupKey: string | null;
  productId: string;
  quantity: number;
}

/** What a subscription says without its invoices, as a list call answers it. */
export interface SubscriptionSummary {
  subscriptionId: string;
  customerId: string;
  status: SubscriptionStatus;
  /** Stripe's `pause_collection`: the operator has paused collecting money. */
  collectionPaused: boolean;
  /** When it will end; set for a cancellation at the period's end too. */
  cancelAt: Date | null;
  /** When its cancellation was last asked for. It stays the same when the subscription ends later. */
  canceledAt: Date | null;
  cancelReason: CancelReason;
  endedAt: Date | null;
  trialEnd: Date | null;
  periodEnd: Date | null;
  items: SubscriptionItem[];
  metadata: Record<string, string>;
  livemode: boolean;
  /** What in Stripe's answer could not be understood, for people; empty as a rule. */
  oddities: string[];
}

export interface Invoice {
  invoiceId: string;
  status: InvoiceStatus;
  /** Its due date, else when it was finalized; for a draft when it was created. A retry does not move it. */
  dueAt: Date;
  createdAt: Date;
  /** In the currency's smallest unit. */
  amountDue: number;
  amountRemaining: number;
  /** Whether it counts as paid at Stripe: by a charge, by credit or out of band. */
  paid: boolean;
  /** Whether a credit note took all of it away, so that nobody had to pay it. */
  credited: boolean;
  /** Whether collecting it was ever tried: not while the operator has paused collecting money. */
  attempted: boolean;
  billingReason: string | null;
  periodEnd: Date | null;
  /** Where Stripe lets the customer pay it, once it is finalized; null where Stripe does not say. */
  payPage: string | null;
  /** Prices of the lines that charge something (credits of a plan change do not). */
  priceIds: string[];
}

/** A subscription's present state at Stripe. */
export interface Subscription extends SubscriptionSummary {
  /** The latest 24 and all older ones that are open, newest first. */
  invoices: Invoice[];
  /** Whether any payment of these invoices is disputed and the dispute is not decided. */
  hasOpenDispute: boolean;
  /** How many disputes of these invoices have been decided. */
  closedDisputes: number;
  lostDisputeOfCurrentPeriod: boolean;
  /** When the lost dispute about the current period's payment was opened, else null. */
  lostDisputeAt: Date | null;
}
