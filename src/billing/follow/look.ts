import { lockAgent } from '../../agents/store.ts';
import type { Transaction } from '../../database/connect.ts';
import { errorMessage } from '../../errors.ts';
import { readSubscription, type Subscription } from '../../stripe/subscription.ts';

import { decide } from '../decide.ts';
import type { SubscriptionRow } from '../subscriptions.ts';
import { carryOut } from './act.ts';
import { type AgentState, readAgentState, toAgentView } from './agent-state.ts';
import { cancelOrphaned } from './cancel-orphaned.ts';
import { chooseGoverning, type Decided } from './choose.ts';
import {
  type ClaimedAgent,
  isStillCurrent,
  lockSubscriptions,
  postponeClaim,
  releaseClaim,
} from './claims.ts';
import type { FollowDeps } from './deps.ts';
import { explainFindings } from './explain.ts';
import { replaceFindings } from './findings.ts';
import { describeAct, planActs, withoutHarm } from './plan-acts.ts';
import { storeDecisions } from './store.ts';

/** A subscription of an agent as just read from Stripe. */
export interface Reading {
  row: SubscriptionRow;
  subscription: Subscription | 'unknown';
}

/** A reading with what it demands. */
export type Judged = Reading & Decided;

export type LookOutcome = 'acted' | 'superseded' | 'postponed';

/**
 * Reads an agent's subscriptions at Stripe, decides what should be true, and does it, in one transaction. A
 * kill before its commit leaves a claim that expires, and everything is read again. What cannot be read
 * changes nothing.
 */
export async function lookAt(deps: FollowDeps, claimed: ClaimedAgent): Promise<LookOutcome> {
  const { agentId } = claimed;
  let readings: Reading[];
  try {
    readings = await readAll(deps, claimed.rows);
  } catch (error) {
    await postponeClaim(deps.database, claimed, error);
    deps.log.warn(
      { event: 'billing.unreadable', agentId, error: errorMessage(error) },
      'could not read a subscription at Stripe',
    );
    return 'postponed';
  }
  const judged = await deps.database.transaction().execute((trx) => settle(deps, trx, claimed, readings));
  if (judged === undefined) {
    await releaseClaim(deps.database, claimed);
    return 'superseded';
  }
  await cancelOrphaned(deps, judged);
  return 'acted';
}

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

/** @returns undefined if something has changed since the agent was claimed: nothing is written then */
async function settle(
  deps: FollowDeps,
  trx: Transaction,
  claimed: ClaimedAgent,
  readings: Reading[],
): Promise<JudgedAgent | undefined> {
  const agent = await lockAgent(trx, claimed.agentId);
  if (!isStillCurrent(claimed, await lockSubscriptions(trx, [claimed.agentId]))) return undefined;
  const now = deps.clock.now();
  const state = await readAgentState(trx, agent);
  const judged = await judge(deps, trx, { state, readings, now });
  const acts = planActs(judged.effective.decision, state.act, now);
  const would = deps.billing === 'observe' ? acts.map(describeAct) : [];
  const cancels = deps.billing === 'act' && deps.onDestroy === 'cancel';
  await storeDecisions(trx, judged, { would, now, cancels });
  await replaceFindings(
    trx,
    { source: 'follower', agentId: claimed.agentId },
    explainFindings(judged, state.agent),
    now,
  );
  if (deps.billing === 'act') await carryOut(deps, trx, { state, judged, acts, now });
  logDecision(deps, judged, acts.map(describeAct));
  return judged;
}

/** An agent's subscriptions with what they demand. */
export interface JudgedAgent {
  agentId: string;
  all: Judged[];
  /** The one that counts. */
  governing: Judged;
  /** Like `governing`, without consequences of what happened before this installation followed payments. */
  effective: Judged;
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
  const all = readings.map(({ row, subscription }) => ({
    row,
    subscription,
    subscriptionId: row.subscription_id,
    decision: decide(subscription, toAgentView(state, row), deps.policy, now),
  }));
  const governing = chooseGoverning(all, readings.find(({ row }) => row.governs)?.row.subscription_id);
  if (governing === undefined) throw new Error(`Agent ${state.agent.agent_id} has no subscription`);
  const isGone = state.agent.status === 'destroying' || state.agent.status === 'destroyed';
  const isFromBefore = !deps.actsOnPast && !isGone && (await beganBefore(trx, governing));
  const effective = isFromBefore
    ? { ...governing, decision: withoutHarm(governing.decision, state.act, now) }
    : governing;
  const isDestroyed = state.agent.status === 'destroyed';
  return { agentId: state.agent.agent_id, all, governing, effective, isFromBefore, isDestroyed };
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

function logDecision({ log, billing }: FollowDeps, { governing }: JudgedAgent, acts: string[]): void {
  const { subscriptionId, decision, row } = governing;
  if (acts.length === 0 && row.state === decision.state && row.demand === decision.demand) return;
  log.info(
    {
      event: 'billing.decided',
      agentId: row.agent_id,
      subscriptionId,
      state: decision.state,
      demand: decision.demand,
      acts,
      billing,
    },
    billing === 'act'
      ? `the subscription of ${row.agent_id} is ${decision.state}`
      : `observed only: the subscription of ${row.agent_id} is ${decision.state}`,
  );
}
