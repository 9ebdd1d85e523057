import type { AgentStatus } from '../../agents/states.ts';
import type { SubscriptionSummary } from '../../stripe/subscription.ts';
import type { NewFinding } from './findings.ts';

/** An agent that has a subscription, or had one. */
export interface ComparedAgent {
  agentId: string;
  status: AgentStatus;
  /** Whether Hetzner was found to have its server no more. */
  isServerGone: boolean;
}

export interface ComparedLink {
  subscriptionId: string;
  agentId: string;
  /** As last stored; null before the first look. */
  view: Record<string, unknown> | null;
  state: string | null;
  demand: string | null;
  /** Whether it is due for another look anyway. */
  isDue: boolean;
  /** Whether the day of its agent's suspension is still to come. */
  stopsLater: boolean;
}

export interface Comparison {
  findings: NewFinding[];
  /** Subscriptions that no longer are as they were last read, or that are owed for. */
  changed: string[];
}

/**
 * Compares all subscriptions of the account with all agents. A difference that another look at Stripe
 * explains is only a signal; what remains needs a person.
 */
export function compareAll(
  listed: ReadonlyMap<string, SubscriptionSummary>,
  agents: readonly ComparedAgent[],
  links: readonly ComparedLink[],
): Comparison {
  const byAgent = Map.groupBy(links, (link) => link.agentId);
  const linked = new Map(links.map((link) => [link.subscriptionId, link]));
  const changed = links.filter((link) => hasChanged(link, listed.get(link.subscriptionId)));
  const isSettled = (link: ComparedLink) => !link.isDue && !changed.includes(link);
  return {
    changed: changed.map(({ subscriptionId }) => subscriptionId),
    findings: [
      ...[...listed.values()].filter((one) => isBilled(one) && !linked.has(one.subscriptionId)).map(noAgent),
      ...agents.flatMap((agent) => {
        const own = byAgent.get(agent.agentId) ?? [];
        const billed = own.filter(({ subscriptionId }) => isBilled(listed.get(subscriptionId)));
        return [
          ...findUnpaid(agent, own, { billed, isSettled: own.every(isSettled) }),
          ...findServerless(agent, billed),
        ];
      }),
    ],
  };
}

/** Whether Stripe goes on asking for money. */
function isBilled(summary: SubscriptionSummary | undefined): summary is SubscriptionSummary {
  if (summary === undefined || summary.cancelAt !== null) return false;
  return ['trialing', 'active', 'past_due', 'unpaid', 'paused'].includes(summary.status);
}

function noAgent({ subscriptionId, customerId, metadata }: SubscriptionSummary): NewFinding {
  const named = metadata.agentId === undefined ? '' : `; it names agent ${metadata.agentId}`;
  return {
    class: 'mismatch',
    key: `${subscriptionId} without agent`,
    subscriptionId,
    cause: `Subscription ${subscriptionId} of customer ${customerId} is billed, and no agent belongs to it${named}`,
    cure: 'See whether it has an agent that was created by hand: link its order to that (npm run agents -- orders link SESSION AGENT). Otherwise create one (npm run agents -- create … --order SESSION), or cancel the subscription at Stripe and refund it',
  };
}

/**
 * An agent that goes on running although nobody pays: protected, held by a breaker, or unknown to Stripe. One
 * whose announced suspension has not come yet is as it should be.
 */
function findUnpaid(
  { agentId, status }: ComparedAgent,
  own: readonly ComparedLink[],
  { billed, isSettled }: { billed: readonly ComparedLink[]; isSettled: boolean },
): NewFinding[] {
  const isServed = status === 'running' || status === 'stopped' || status === 'stopping';
  if (!isServed || own.length === 0 || billed.length > 0 || !isSettled) return [];
  if (own.some(({ state }) => state === 'ending' || state === 'paid' || state === 'past_due')) return [];
  if (own.some(({ stopsLater }) => stopsLater)) return [];
  return [
    {
      class: 'mismatch',
      key: `${agentId} without subscription`,
      agentId,
      subscriptionId: own[0]?.subscriptionId,
      cause: `Agent ${agentId} is ${status}, and none of its subscriptions is billed any more`,
      cure: 'Destroy it, or let its customer subscribe again; a breaker or its protection may be what keeps it',
    },
  ];
}

function findServerless(
  { agentId, status, isServerGone }: ComparedAgent,
  [link]: readonly ComparedLink[],
): NewFinding[] {
  if (link === undefined || !(status === 'failed' || isServerGone)) return [];
  const what = status === 'failed' ? 'its provision has failed' : 'Hetzner has its server no more';
  return [
    {
      class: 'mismatch',
      key: `${agentId} without server`,
      agentId,
      subscriptionId: link.subscriptionId,
      cause: `Agent ${agentId} has no server (${what}) while subscription ${link.subscriptionId} is billed`,
      cure: 'Retry its provision or rebuild it, or cancel the subscription at Stripe and refund it',
    },
  ];
}

/** What is owed for is always read again, because lists have no invoices. */
function hasChanged(link: ComparedLink, listed: SubscriptionSummary | undefined): boolean {
  if (link.view === null || listed === undefined) return link.state !== 'unknown' || listed !== undefined;
  const isOwed = link.demand !== 'run' && link.state !== 'ended';
  return isOwed || link.state === 'past_due' || fingerprint(link.view) !== fingerprint(listed);
}

const COMPARED = [
  'status',
  'collectionPaused',
  'cancelAt',
  'canceledAt',
  'endedAt',
  'trialEnd',
  'periodEnd',
] as const;

/** The same for a summary and for the view that was stored of it as JSON. */
export function fingerprint(view: object): string {
  const fields = view as Record<string, unknown>;
  const items = Array.isArray(fields.items) ? fields.items : [];
  return JSON.stringify([
    ...COMPARED.map((name) => fields[name] ?? null),
    items.map((item: Record<string, unknown>) => [item.priceId, item.quantity]),
  ]);
}
