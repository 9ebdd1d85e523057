import type { Transaction } from '../../database/connect.ts';
import { readSubscription, type Subscription } from '../../stripe/subscription.ts';
import { hasEnded } from '../course.ts';
import { decide } from '../decide.ts';
import type { SubscriptionRow } from '../subscriptions.ts';
import { type AgentState, toAgentView } from './agent-state.ts';
import { chooseGoverning, type Decided } from './choose.ts';
import type { FollowDeps } from './deps.ts';
import { withoutHarm } from './plan-acts.ts';
import { judgePlanChoice, type PlanChoice } from './plan-choice.ts';

/** A subscription of an agent as just read from Stripe. */
export interface Reading {
  row: SubscriptionRow;
  subscription: Subscription | 'unknown';
}

/** A reading with what it demands. */
export type Judged = Reading & Decided;

/** Reads subscriptions at Stripe. @throws as `readSubscription` does */
export function readAll(
  { stripe }: Pick<FollowDeps, 'stripe'>,
  rows: readonly SubscriptionRow[],
): Promise<Reading[]> {
  return Promise.all(
    rows.map(async (row) => ({
      row,
      subscription: (await readSubscription(stripe, row.subscription_id)) ?? 'unknown',
    })),
  );
}

/** An agent's subscriptions with what they demand. */
export interface JudgedAgent {
  agentId: string;
  all: Judged[];
  /** The one that counts. */
  governing: Judged;
  /** Like `governing`, without consequences of what happened before this installation followed payments. */
  effective: Judged;
  planChoice: PlanChoice;
  isFromBefore: boolean;
  /** Whether the agent is destroyed. */
  isDestroyed: boolean;
}

/** Decides about each of an agent's subscriptions, and which of them counts. */
export async function judge(
  deps: Pick<FollowDeps, 'policy' | 'actsOnPast'>,
  trx: Transaction,
  { state, readings, now }: { state: AgentState; readings: readonly Reading[]; now: Date },
): Promise<JudgedAgent> {
  const planChoice = judgePlanChoice(state.agent, readings, deps.policy);
  const all = readings.map(({ row, subscription }) => {
    const decision = decide(subscription, toAgentView(state, row, planChoice.isKept), deps.policy, now);
    const isOver = subscription !== 'unknown' && hasEnded(subscription) && decision.state !== 'ending';
    return { row, subscription, subscriptionId: row.subscription_id, isOver, decision };
  });
  const governing = chooseGoverning(all, readings.find(({ row }) => row.governs)?.row.subscription_id);
  if (governing === undefined) throw new Error(`Agent ${state.agent.agent_id} has no subscription`);
  const isGone = state.agent.status === 'destroying' || state.agent.status === 'destroyed';
  const isFromBefore = !deps.actsOnPast && !isGone && (await beganBefore(trx, governing));
  const effective = isFromBefore
    ? { ...governing, decision: withoutHarm(governing.decision, state.act, now) }
    : governing;
  const isDestroyed = state.agent.status === 'destroyed';
  const agentId = state.agent.agent_id;
  return { agentId, all, governing, effective, planChoice, isFromBefore, isDestroyed };
}

/** Whether the debt, or the end of the subscription, is older than this installation's following. */
async function beganBefore(trx: Transaction, { subscription, decision }: Judged): Promise<boolean> {
  const endedAt = subscription === 'unknown' ? null : subscription.endedAt;
  const anchor = decision.unpaidSince ?? endedAt;
  if (anchor === null) return false;
  const row = await trx.selectFrom('installation').select('billing_since').executeTakeFirst();
  const since = row?.billing_since ?? null;
  return since !== null && anchor < since;
}
