import { latestInvoice } from '../stripe/latest-invoice.ts';
import type { Invoice, Subscription } from '../stripe/subscription-view.ts';
import { PERIOD_REASONS } from './course.ts';
import type { AgentView, Attention, Decision } from './decision.ts';
import type { BillingPolicy } from './policy.ts';

/**
 * Says which plan the agent should have: that of the subscription's price, once the latest invoice that bills
 * this price is paid. A plan that a person has chosen stays. An upgrade whose payment fails changes nothing;
 * a downgrade comes with the period after the last one for which the larger plan was paid.
 */
export function planChange(
  subscription: Subscription,
  agent: AgentView,
  policy: BillingPolicy,
): Decision['plan'] {
  const wanted = findPlans(subscription, policy);
  const [first] = wanted;
  if (agent.keepsPlan === true) return 'keep';
  if (first === undefined || wanted.some(({ plan }) => plan !== first.plan)) return 'keep';
  if (first.plan === agent.plan || !['active', 'trialing'].includes(subscription.status)) return 'keep';
  const isUpgrade = policy.planOrder.indexOf(first.plan) > policy.planOrder.indexOf(agent.plan);
  const bill = latestBill(subscription.invoices, isUpgrade);
  if (!bill?.paid || !bill.priceIds.includes(first.priceId)) return 'keep';
  return isUpgrade || !wasPaidLater(bill, subscription, agent, policy) ? { resizeTo: first.plan } : 'keep';
}

/**
 * Whether the present plan was paid after this invoice: by an upgrade in the period that the invoice began. A
 * price that the file knows by its lookup key alone cannot be told from an invoice, so one that is neither
 * known nor an item of the subscription counts as well; the downgrade then comes a period later at most.
 */
function wasPaidLater(
  bill: Invoice,
  { items, invoices }: Subscription,
  agent: AgentView,
  { planOfPrice }: BillingPolicy,
): boolean {
  const isPresent = (id: string) =>
    (lookUp(planOfPrice, id) ?? (items.some(({ priceId }) => priceId === id) ? undefined : agent.plan)) ===
    agent.plan;
  return invoices.some(
    (one) => one !== bill && one.paid && one.priceIds.some(isPresent) && latestInvoice([bill, one]) === one,
  );
}

/** What is wrong with the prices of a subscription, if plans come from prices. */
export function planAttention(subscription: Subscription, policy: BillingPolicy): Attention[] {
  if (Object.keys(policy.planOfPrice).length === 0) return [];
  const plans = new Set(findPlans(subscription, policy).map(({ plan }) => plan));
  if (plans.size === 1) return [];
  const prices = subscription.items.map(({ priceId }) => priceId).join(', ') || 'none';
  const cause =
    plans.size === 0
      ? `No price of the subscription has a plan (${prices})`
      : `The subscription's prices belong to different plans (${prices})`;
  return [
    {
      class: 'configuration',
      cause,
      cure: 'Name the price in the file of BILLING_PLANS, or change the subscription at Stripe',
    },
  ];
}

/** The plans that the prices of a subscription name. */
export function plansOf(subscription: Subscription, policy: Pick<BillingPolicy, 'planOfPrice'>): string[] {
  return findPlans(subscription, policy).map(({ plan }) => plan);
}

/**
 * Whether the plan with which a new agent is created can still change, because the invoice for the price that
 * names another one has not been paid, as far as Stripe tells already.
 */
export function awaitsPlan(
  subscription: Subscription,
  agent: Pick<AgentView, 'plan'>,
  policy: Pick<BillingPolicy, 'planOfPrice'>,
): boolean {
  const [first, ...others] = plansOf(subscription, policy);
  return first !== undefined && first !== agent.plan && others.every((plan) => plan === first);
}

/** The items of a subscription whose price names a plan. */
export function findPlans(
  { items }: Subscription,
  { planOfPrice }: Pick<BillingPolicy, 'planOfPrice'>,
): { priceId: string; plan: string; quantity: number }[] {
  return items.flatMap(({ priceId, lookupKey, quantity }) => {
    const plan =
      lookUp(planOfPrice, priceId) ?? (lookupKey === null ? undefined : lookUp(planOfPrice, lookupKey));
    return plan === undefined ? [] : [{ priceId, plan, quantity }];
  });
}

function lookUp(plans: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(plans, key) ? plans[key] : undefined;
}

function latestBill(invoices: readonly Invoice[], isUpgrade: boolean): Invoice | undefined {
  return latestInvoice(
    invoices.filter(
      ({ status, priceIds, billingReason }) =>
        ['open', 'paid', 'uncollectible'].includes(status) &&
        priceIds.length > 0 &&
        (isUpgrade || PERIOD_REASONS.includes(billingReason)),
    ),
  );
}
