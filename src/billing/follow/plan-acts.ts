import type { AgentStatus } from '../../agents/states.ts';
import type { HoldReason } from '../../database/vocabulary.ts';
import type { Announcement, Decision } from '../decision.ts';

/** One thing that brings an agent in line with a decision. */
export type Act =
  | { kind: 'place-hold'; reason: HoldReason; since: Date }
  | { kind: 'release-hold'; reason: HoldReason }
  | { kind: 'announce'; announcement: Announcement }
  | { kind: 'set-plan'; plan: string }
  | { kind: 'change'; operation: 'hibernate' | 'destroy' | 'resize'; plan?: string };

/** The agent as far as acting on a decision depends on it. */
export interface ActView {
  status: AgentStatus;
  plan: string;
  /** The reasons of its holds. */
  holds: readonly HoldReason[];
  /** Whether an operation of it is queued or active. */
  isBusy: boolean;
  /**
   * What is not asked for again yet: kinds of operation that failed a short while ago, and a resize to a
   * plan, such as `resize to pro`, that has failed or was cancelled.
   */
  paused: readonly string[];
}

/** Says what has to be done now so that the decision comes true. Done before, it is not listed again. */
export function planActs(decision: Decision, agent: ActView, now: Date): Act[] {
  if (agent.status === 'destroying' || agent.status === 'destroyed') return [];
  return [
    ...planHold('payment', decision.hold.wanted ? decision.hold.since : undefined, agent),
    ...planHold('dispute', decision.disputeHold ? now : undefined, agent),
    ...planAnnouncements(decision, agent),
    ...planChange(decision, agent),
  ];
}

/**
 * A deletion is announced once the agent is off: its date counts from there, and an announcement made while
 * the suspension is under way would be made again a moment later.
 */
function planAnnouncements({ announce }: Decision, { status }: ActView): Act[] {
  return announce
    .filter(({ type }) => type !== 'agent.will_delete' || !IN_USE.includes(status))
    .map((announcement) => ({ kind: 'announce', announcement }));
}

function planHold(reason: HoldReason, since: Date | undefined, { holds }: ActView): Act[] {
  if (since !== undefined) return holds.includes(reason) ? [] : [{ kind: 'place-hold', reason, since }];
  return holds.includes(reason) ? [{ kind: 'release-hold', reason }] : [];
}

/** States in which an agent is in use. A payment that is missing has to suspend it before anything worse. */
export const IN_USE: readonly AgentStatus[] = ['running', 'stopping', 'stopped'];

/** Suspending and resuming follow from the holds. */
function planChange({ demand, plan }: Decision, agent: ActView): Act[] {
  const { status, holds, isBusy, paused } = agent;
  // Nothing of it exists yet: it is created with the right plan.
  if (demand === 'run' && plan !== 'keep' && status === 'requested')
    return plan.resizeTo === agent.plan ? [] : [{ kind: 'set-plan', plan: plan.resizeTo }];
  if (isBusy) return [];
  const isSuspended = holds.includes('payment');
  if (demand === 'destroy' && isSuspended && !IN_USE.includes(status) && !paused.includes('destroy'))
    return [{ kind: 'change', operation: 'destroy' }];
  if (demand === 'hibernate' && isSuspended && status === 'suspended' && !paused.includes('hibernate'))
    return [{ kind: 'change', operation: 'hibernate' }];
  if (demand !== 'run' || plan === 'keep' || status !== 'running') return [];
  if (paused.includes(`resize to ${plan.resizeTo}`)) return [];
  return plan.resizeTo === agent.plan ? [] : [{ kind: 'change', operation: 'resize', plan: plan.resizeTo }];
}

/** Describes an act briefly, for observe mode and the log. */
export function describeAct(act: Act): string {
  switch (act.kind) {
    case 'place-hold':
      return `place the ${act.reason} hold`;
    case 'release-hold':
      return `release the ${act.reason} hold`;
    case 'announce':
      return `announce ${act.announcement.type} (${act.announcement.key})`;
    case 'set-plan':
      return `create it with the plan ${act.plan}`;
    case 'change':
      return act.plan === undefined ? act.operation : `${act.operation} to ${act.plan}`;
  }
}

/** A decision that does no harm: what was unpaid before this installation began is left to a person. */
export function withoutHarm(decision: Decision, agent: ActView, now: Date): Decision {
  const isHeld = agent.holds.includes('payment');
  const demand = agent.status === 'hibernated' ? 'hibernate' : 'suspend';
  return {
    ...decision,
    hold: { wanted: isHeld, since: now },
    demand: isHeld ? demand : 'run',
    plan: 'keep',
    announce: [],
  };
}
