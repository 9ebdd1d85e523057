import { decide } from '../../src/billing/decide.ts';
import type { AgentView, Decision } from '../../src/billing/decision.ts';
import { type BillingPolicy, createPolicy } from '../../src/billing/policy.ts';
import type { Invoice, Subscription } from '../../src/stripe/subscription.ts';

const DAY = 24 * 3600 * 1000;
const START = Date.UTC(2027, 0, 1);

/** Returns the time so many days after the beginning of these tests. */
export function day(days: number): Date {
  return new Date(START + days * DAY);
}

/** An invoice that was finalized on a day and, unless said otherwise, paid. */
export function invoiceView(dueDay: number, changes: Partial<Invoice> = {}): Invoice {
  const status = changes.status ?? 'paid';
  return {
    invoiceId: `in_${dueDay}`,
    status,
    dueAt: day(dueDay),
    createdAt: day(dueDay),
    amountDue: 1000,
    amountRemaining: status === 'paid' ? 0 : 1000,
    paid: status === 'paid',
    credited: false,
    attempted: true,
    billingReason: 'subscription_cycle',
    periodEnd: day(dueDay),
    payPage: null,
    priceIds: ['price_starter'],
    ...changes,
  };
}

/** A monthly subscription that is paid for, with these changes. */
export function subscriptionView(changes: Partial<Subscription> = {}): Subscription {
  return {
    subscriptionId: 'sub_1',
    customerId: 'cus_1',
    status: 'active',
    collectionPaused: false,
    cancelAt: null,
    canceledAt: null,
    cancelReason: undefined,
    endedAt: null,
    trialEnd: null,
    periodEnd: day(30),
    items: [{ priceId: 'price_starter', lookupKey: null, productId: 'prod_1', quantity: 1 }],
    metadata: {},
    livemode: false,
    oddities: [],
    invoices: [invoiceView(0)],
    hasOpenDispute: false,
    closedDisputes: 0,
    lostDisputeOfCurrentPeriod: false,
    lostDisputeAt: null,
    ...changes,
  };
}

/** A subscription whose renewals on these days were not paid. */
export function pastDueView(dueDays: readonly number[], changes: Partial<Subscription> = {}): Subscription {
  const unpaid = dueDays.map((due) => invoiceView(due, { status: 'open' }));
  return subscriptionView({
    status: 'past_due',
    invoices: [...unpaid.reverse(), invoiceView(-30)],
    ...changes,
  });
}

export function agentView(changes: Partial<AgentView> = {}): AgentView {
  return {
    status: 'running',
    protected: false,
    plan: 'starter',
    unpaidSince: null,
    suspendedAt: null,
    announcements: [],
    ...changes,
  };
}

export const testPolicy = createPolicy();

/** One day on which the service looked: what it decided, and the agent after it was carried out. */
export interface Look {
  on: number;
  decision: Decision;
  agent: AgentView;
}

/** Decides on these days, one after the other, and carries out each decision as the service does. */
export function follow(
  looks: readonly (readonly [day: number, subscription: Subscription | 'unknown'])[],
  { agent = agentView(), policy = testPolicy }: { agent?: AgentView; policy?: BillingPolicy } = {},
): Look[] {
  const taken: Look[] = [];
  let present = agent;
  for (const [on, subscription] of looks) {
    const now = day(on);
    const decision = decide(subscription, present, policy, now);
    present = {
      ...present,
      status: (
        { run: 'running', suspend: 'suspended', hibernate: 'hibernated', destroy: 'destroyed' } as const
      )[decision.demand],
      unpaidSince: decision.unpaidSince,
      suspendedAt: decision.hold.wanted ? decision.hold.since : null,
      announcements: [
        ...present.announcements,
        ...decision.announce.map(({ type, key }) => ({ type, key, at: now })),
      ],
    };
    taken.push({ on, decision, agent: present });
  }
  return taken;
}

/** Tells looks briefly: the day, what is demanded, what is announced. */
export function tell(looks: readonly Look[]): string[] {
  return looks.map(({ on, decision }) =>
    [`day ${on}:`, decision.demand, ...decision.announce.map(({ type }) => type.replace('agent.', '+'))].join(
      ' ',
    ),
  );
}
