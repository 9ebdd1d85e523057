import { placeHold, releaseHold } from '../../agents/holds.ts';
import type { AgentRow } from '../../agents/store.ts';
import type { Transaction } from '../../database/connect.ts';
import type { Actor } from '../../database/vocabulary.ts';
import { ConflictError } from '../../errors.ts';
import { changeRequestedPlan } from '../../limits/change-plan.ts';
import { requestChange, withdrawChange } from '../../limits/request-change.ts';
import { queueNotice } from '../../notices/queue-notice.ts';
import { followHolds } from '../../operations/follow-holds.ts';
import { hastenWaiting } from '../../operations/hasten.ts';
import { withdrawQueued } from '../../operations/withdraw.ts';
import type { Announcement, Decision } from '../decision.ts';
import { awaitsPlan } from '../plan-change.ts';
import type { AgentState } from './agent-state.ts';
import type { FollowDeps } from './deps.ts';
import { throughBreakers } from './hold-changes.ts';
import type { Judged, JudgedAgent } from './judge.ts';
import type { Act } from './plan-acts.ts';

/** The name under which the audit log and the holds have what follows from a payment. */
const ACTOR = 'billing' satisfies Actor;

interface Work {
  state: AgentState;
  judged: JudgedAgent;
  acts: readonly Act[];
  now: Date;
}

/** Does what a decision requires, in the transaction that stores it. The caller has locked the agent. */
export async function act(
  deps: FollowDeps,
  trx: Transaction,
  { state, judged, acts, now }: Work,
): Promise<void> {
  const { agent_id: agentId } = state.agent;
  // First, so that nothing outdated stands in the way of what is wanted now.
  await withdrawOutdated(deps, trx, state, judged.effective.decision);
  for (const act of acts)
    await perform(deps, trx, { act, agent: state.agent, judged: judged.effective, now });
  if (state.agent.status === 'requested' && isPlanKnown(deps, judged.governing, state.agent))
    await hastenWaiting(trx, deps.queue, { agentId, kind: 'provision' });
  await followHolds(trx, deps.queue, agentId, { actor: ACTOR, request: throughBreakers({ now: () => now }) });
}

/** Otherwise the provision begins when it has waited for long enough. */
function isPlanKnown({ policy }: FollowDeps, { subscription, decision }: Judged, agent: AgentRow): boolean {
  if (subscription === 'unknown') return false;
  return decision.plan !== 'keep' || !awaitsPlan(subscription, agent, policy);
}

async function perform(
  deps: FollowDeps,
  trx: Transaction,
  { act, agent, judged, now }: { act: Act; agent: AgentRow; judged: Judged; now: Date },
): Promise<void> {
  const { agent_id: agentId } = agent;
  switch (act.kind) {
    case 'place-hold':
      await placeHold(trx, { agentId, reason: act.reason, by: ACTOR, at: act.since });
      return;
    case 'release-hold':
      await releaseHold(trx, { agentId, reason: act.reason, by: ACTOR });
      return;
    case 'announce':
      await announce(trx, { act, agentId, judged, now });
      return;
    case 'set-plan': {
      const cause = explainChange(judged);
      await changeRequestedPlan(trx, { agent, plan: act.plan, cause, actor: ACTOR, at: now });
      return;
    }
    case 'change':
      await change(deps, trx, { act, agentId, judged, now });
  }
}

async function change(
  { queue, log }: FollowDeps,
  trx: Transaction,
  {
    act: { operation: kind, plan },
    agentId,
    judged,
    now,
  }: { act: Extract<Act, { kind: 'change' }>; agentId: string; judged: Judged; now: Date },
): Promise<void> {
  try {
    const parameters = plan === undefined ? undefined : { plan };
    const cause = explainChange(judged);
    await requestChange(trx, queue, { agentId, kind, parameters, cause, actor: ACTOR, at: now });
  } catch (error) {
    // The agent cannot have it now: its plan cannot shrink the disk, or a person has protected it.
    if (!(error instanceof ConflictError)) throw error;
    log.warn(
      { event: 'billing.refused', agentId, kind, reason: error.message },
      `the ${kind} that its subscription requires is not possible now`,
    );
  }
}

async function announce(
  trx: Transaction,
  {
    act,
    agentId,
    judged,
    now,
  }: { act: Extract<Act, { kind: 'announce' }>; agentId: string; judged: Judged; now: Date },
): Promise<void> {
  const { type, key } = act.announcement;
  const data = { agentId, ...announcementData(act.announcement, judged) };
  await queueNotice(trx, { type, agentId, key, at: now, data });
}

/** What an announcement's notice says besides the agent. Times are in ISO 8601. */
export function announcementData(
  { harm, harmAt }: Pick<Announcement, 'harm' | 'harmAt'>,
  { subscriptionId, decision }: DatedDecision,
): Record<string, string | null> {
  const iso = (time: Date | null) => time?.toISOString() ?? null;
  const { unpaidSince, suspendAt, deleteAt } = decision;
  return {
    subscriptionId,
    harm,
    harmAt: iso(harmAt),
    unpaidSince: iso(unpaidSince),
    suspendAt: iso(suspendAt),
    deleteAt: iso(deleteAt),
  };
}

interface DatedDecision {
  subscriptionId: string;
  decision: Pick<Decision, 'unpaidSince' | 'suspendAt' | 'deleteAt'>;
}

function explainChange({ decision, subscriptionId }: Judged): string {
  if (decision.demand === 'run') return `The price of its subscription ${subscriptionId} has another plan.`;
  const since = decision.unpaidSince?.toISOString();
  return since === undefined
    ? `Its subscription ${subscriptionId} has ended.`
    : `Its subscription ${subscriptionId} has been unpaid since ${since}.`;
}

/** Takes back what earlier decisions wanted, unless it is under way already. */
async function withdrawOutdated(
  { queue }: FollowDeps,
  trx: Transaction,
  { agent, act }: AgentState,
  { demand, plan, hold }: Decision,
): Promise<void> {
  const { agent_id: agentId } = agent;
  if (agent.status === 'destroying' || agent.status === 'destroyed') return;
  const isHeldOtherwise = act.holds.some((reason) => reason === 'abuse' || reason === 'operator');
  const outdated = [
    ...(demand === 'destroy' ? [] : ['destroy']),
    ...(demand === 'hibernate' || demand === 'destroy' ? [] : ['hibernate']),
    ...(plan === 'keep' ? ['resize'] : []),
    ...(hold.wanted || isHeldOtherwise ? [] : ['suspend']),
  ];
  for (const kind of outdated) await withdrawChange(trx, agentId, kind);
  await withdrawQueued(trx, queue, agentId, outdated);
  if (plan !== 'keep') await withdrawQueued(trx, queue, agentId, ['resize'], { exceptPlan: plan.resizeTo });
}
