import { lockAgent } from '../../agents/store.ts';
import type { Transaction } from '../../database/connect.ts';
import { errorMessage } from '../../errors.ts';
import { act } from './act.ts';
import { readAgentState } from './agent-state.ts';
import { cancelOrphaned } from './cancel-orphaned.ts';
import {
  type ClaimedAgent,
  isStillCurrent,
  lockSubscriptions,
  postponeClaim,
  releaseClaim,
} from './claims.ts';
import type { FollowDeps } from './deps.ts';
import { explainFindings, explainUntold } from './explain.ts';
import { pauseSecondsFor } from './failed-resize.ts';
import { replaceFindings } from './findings.ts';
import { type JudgedAgent, judge, type Reading, readAll } from './judge.ts';
import { describeAct, planActs } from './plan-acts.ts';
import { storePlanChoice } from './plan-choice.ts';
import { PLAN_AGAIN_MS, storeDecisions } from './store.ts';

export type LookOutcome = 'acted' | 'superseded' | 'postponed';

/**
 * Reads an agent's subscriptions at Stripe, decides what should be true, and does it, in one transaction. A
 * kill before its commit leaves a claim that expires, and everything is read again. What cannot be read
 * changes nothing.
 */
export async function lookAt(deps: FollowDeps, claimed: ClaimedAgent): Promise<LookOutcome> {
  const { agentId } = claimed;
  let judged: JudgedAgent | undefined;
  try {
    const readings = await readAll(deps, claimed.rows);
    judged = await deps.database.transaction().execute((trx) => settle(deps, trx, claimed, readings));
  } catch (error) {
    await postponeClaim(deps.database, claimed, error);
    deps.log.warn(
      { event: 'billing.look_failed', agentId, error: errorMessage(error) },
      'could not look at an agent’s subscriptions; they are looked at again',
    );
    return 'postponed';
  }
  if (judged === undefined) {
    await releaseClaim(deps.database, claimed);
    return 'superseded';
  }
  await cancelOrphaned(deps, judged);
  return 'acted';
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
  const pauseMs = Math.ceil(pauseSecondsFor(judged.effective.decision.plan, state.failedResize)) * 1000;
  const planAgainMs = deps.billing === 'act' ? Math.max(PLAN_AGAIN_MS, pauseMs) : undefined;
  await storeDecisions(trx, judged, { would, now, cancels, planAgainMs });
  await storePlanChoice(trx, agent, judged.planChoice);
  await replaceFindings(
    trx,
    { source: 'follower', agentId: claimed.agentId },
    [...explainFindings(judged, state), ...explainUntold(judged, state, deps)],
    now,
  );
  if (deps.billing === 'act') await act(deps, trx, { state, judged, acts, now });
  logDecision(deps, judged, acts.map(describeAct));
  return judged;
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
