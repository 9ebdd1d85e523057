import type { AgentRow } from '../../agents/store.ts';
import type { Transaction } from '../../database/connect.ts';
import type { Subscription } from '../../stripe/subscription-view.ts';
import { hasEnded } from '../course.ts';
import { plansOf } from '../plan-change.ts';
import type { BillingPolicy } from '../policy.ts';
import type { SubscriptionRow } from '../subscriptions.ts';

/** What becomes of a plan that a person has chosen: it stays until a price of the subscriptions changes. */
export interface PlanChoice {
  isKept: boolean;
  /** The prices that it is kept against; null as long as they are not known. */
  prices: string | null;
}

/** A subscription as just read, and as it was stored before. */
interface Reading {
  row: Pick<SubscriptionRow, 'view'>;
  subscription: Subscription | 'unknown';
}

type Chooser = Pick<AgentRow, 'plan' | 'plan_chosen_at' | 'plan_chosen_prices'>;

/**
 * Decides whether an agent keeps the plan that a person has chosen. One that the price names as well needs no
 * keeping: by that a person gives the agent back to its price.
 */
export function judgePlanChoice(
  agent: Chooser,
  readings: readonly Reading[],
  policy: Pick<BillingPolicy, 'planOfPrice'>,
): PlanChoice {
  if (agent.plan_chosen_at === null) return { isKept: false, prices: null };
  const subscriptions = readings.map(({ subscription }) => subscription);
  // Nothing is known about the prices now.
  if (subscriptions.includes('unknown')) return { isKept: true, prices: agent.plan_chosen_prices };
  const known = subscriptions.filter((one) => one !== 'unknown');
  const prices = listPrices(known.flatMap(({ items }) => items));
  const before = agent.plan_chosen_prices ?? listStored(readings) ?? prices;
  // What an ended subscription names is what somebody once had.
  const named = known.filter((one) => !hasEnded(one)).flatMap((one) => plansOf(one, policy));
  const isNamed = named.length > 0 && named.every((plan) => plan === agent.plan);
  return { isKept: before === prices && !isNamed, prices };
}

/** The prices at the last look, which the choice was made against. */
function listStored(readings: readonly Reading[]): string | undefined {
  const views = readings.map(({ row }) => row.view);
  if (views.includes(null)) return undefined;
  return listPrices(views.flatMap((view) => (Array.isArray(view?.items) ? view.items : [])));
}

function listPrices(items: readonly { priceId: string }[]): string {
  return items
    .map(({ priceId }) => priceId)
    .sort()
    .join(' ');
}

/** Stores the decision. The caller has locked the agent. */
export async function storePlanChoice(trx: Transaction, agent: AgentRow, choice: PlanChoice): Promise<void> {
  if (agent.plan_chosen_at === null) return;
  await trx
    .updateTable('agents')
    .set(
      choice.isKept
        ? { plan_chosen_prices: choice.prices }
        : { plan_chosen_at: null, plan_chosen_prices: null },
    )
    .where('agent_id', '=', agent.agent_id)
    .execute();
}
