import type { Subscription } from '../stripe/subscription-view.ts';
import { goneAttention, listAttention, UNKNOWN_SUBSCRIPTION, UNRECOGNIZED_STATUS } from './attention.ts';
import { type Course, debtCourse, endCourse, hasEnded, later } from './course.ts';
import { findDebt, listDueDates } from './debt.ts';
import { type AgentView, type Attention, type BillingState, DEMANDS, type Decision } from './decision.ts';
import { planAttention, planChange } from './plan-change.ts';
import type { BillingPolicy } from './policy.ts';
import { quantityAttention } from './quantity.ts';
import { applyCourse, type Situation, type Timetable } from './timetable.ts';

const HOUR = 3600 * 1000;
/** Stripe finalizes a renewal's invoice about an hour after the period's end. */
const RENEWAL_SETTLES_MS = 2 * HOUR;

/**
 * Says what should be true of an agent: from its subscription's present state at Stripe, what was announced
 * before, the policy and the time. Pure. `unknown`: Stripe does not know the subscription.
 *
 * Whoever carries it out places the hold with `hold.since`, and queues the announcements at `now`.
 */
export function decide(
  subscription: Subscription | 'unknown',
  agent: AgentView,
  policy: BillingPolicy,
  now: Date,
): Decision {
  if (subscription === 'unknown') return keepAsIs(agent, now, [UNKNOWN_SUBSCRIPTION]);
  if (agent.status === 'destroying' || agent.status === 'destroyed')
    return leaveGone(subscription, agent, now);
  if (subscription.status === 'unrecognized') return keepAsIs(agent, now, [UNRECOGNIZED_STATUS]);
  return decideKnown({
    subscription,
    agent,
    policy,
    now,
    deletionForbidden: subscription.hasOpenDispute || agent.protected,
    hibernationForbidden: subscription.hasOpenDispute,
  });
}

function decideKnown(known: Omit<Situation, 'staysOff'>): Decision {
  const { subscription, agent, policy, now } = known;
  const { debt, collectedUntil } = findDebt(subscription, policy, now);
  const owed = debt && debtCourse(debt, policy);
  const end = endCourse(subscription, debt !== undefined, policy, now);
  const courses = [owed, end].filter((course) => course !== undefined);
  const isStopped = courses.some(({ stops, stopAt }) => stops && now >= stopAt);
  const situation = { ...known, staysOff: agent.suspendedAt !== null && isStopped };
  const tables = courses.map((course) => applyCourse(course, situation));
  const demand = DEMANDS.findLast((one) => tables.some((table) => table.demand === one)) ?? 'run';
  const hasDebt = debt !== undefined;
  const deletionDue = isDeletionDue(courses, agent, now);
  return {
    ...mergeTimetables(tables),
    state: nameState(subscription, { owed, end, isHeld: demand !== 'run' }),
    hold: { wanted: demand !== 'run', since: agent.suspendedAt ?? now },
    disputeHold: subscription.hasOpenDispute,
    demand,
    unpaidSince: debt?.since ?? null,
    cancelAt: end?.stopAt ?? null,
    plan: demand === 'run' && !hasDebt ? planChange(subscription, agent, policy) : 'keep',
    attention: [
      ...listAttention(subscription, agent, { demand, hasDebt, deletionDue }),
      ...planAttention(subscription, policy),
      ...quantityAttention(subscription, policy),
    ],
    nextAt: first(
      [
        ...tables.flatMap(({ changesAt }) => changesAt),
        ...listDueDates(subscription),
        ...(collectedUntil === undefined ? [] : [collectedUntil]),
        ...listPeriodDates(subscription, now),
      ].filter((date) => date > now),
    ),
  };
}

/** Of several courses the earliest dates count, and each makes its own announcements. */
function mergeTimetables(
  tables: readonly Timetable[],
): Pick<Decision, 'suspendAt' | 'hibernateAt' | 'deleteAt' | 'announce'> {
  return {
    suspendAt: first(tables.map(({ suspendAt }) => suspendAt)),
    hibernateAt: first(tables.map(({ hibernateAt }) => hibernateAt)),
    deleteAt: first(tables.map(({ deleteAt }) => deleteAt)),
    announce: tables.flatMap(({ announce }) => announce),
  };
}

/** Stripe's answer demands nothing: what is stays, a person has to look, and Stripe is asked again. */
function keepAsIs(agent: AgentView, now: Date, attention: Attention[]): Decision {
  const held = agent.suspendedAt !== null;
  const demand = agent.status === 'hibernated' ? 'hibernate' : 'suspend';
  return {
    ...UNDATED,
    state: 'unknown',
    hold: { wanted: held, since: agent.suspendedAt ?? now },
    disputeHold: false,
    demand: held ? demand : 'run',
    unpaidSince: agent.unpaidSince,
    attention,
    nextAt: later(now, HOUR),
  };
}

/** The agent is deleted, or being deleted, which only a person undoes. */
function leaveGone(subscription: Subscription, agent: AgentView, now: Date): Decision {
  return {
    ...UNDATED,
    state: nameState(subscription, { isHeld: false }),
    hold: { wanted: false, since: agent.suspendedAt ?? now },
    disputeHold: subscription.hasOpenDispute,
    demand: 'destroy',
    unpaidSince: null,
    attention: goneAttention(subscription),
  };
}

const UNDATED = {
  suspendAt: null,
  hibernateAt: null,
  deleteAt: null,
  cancelAt: null,
  announce: [],
  plan: 'keep',
  nextAt: null,
} satisfies Partial<Decision>;

function nameState(
  subscription: Subscription,
  { owed, end, isHeld }: { owed?: Course | undefined; end?: Course | undefined; isHeld: boolean },
): BillingState {
  const { status, collectionPaused } = subscription;
  if (status === 'unrecognized') return 'unknown';
  if (end?.stops || (hasEnded(subscription) && owed === undefined && end === undefined)) return 'ended';
  if (owed !== undefined) return isHeld ? 'suspended' : 'past_due';
  if (end !== undefined) return 'ending';
  if (status === 'incomplete') return 'incomplete';
  if (status === 'trialing') return 'trial';
  return collectionPaused ? 'paused' : 'paid';
}

/**
 * Times at which Stripe itself changes a subscription: looking again then makes up for lost events. A
 * cancellation that is due is looked for every hour until Stripe has carried it out.
 */
function listPeriodDates(subscription: Subscription, now: Date): Date[] {
  const { periodEnd, cancelAt } = subscription;
  if (hasEnded(subscription)) return [];
  const overdue = cancelAt === null ? -1 : now.getTime() - cancelAt.getTime();
  return [
    ...(periodEnd === null ? [] : [later(periodEnd, RENEWAL_SETTLES_MS)]),
    ...(cancelAt === null || overdue < 0 ? [] : [later(cancelAt, (Math.floor(overdue / HOUR) + 1) * HOUR)]),
  ];
}

function isDeletionDue(courses: readonly Course[], { suspendedAt }: AgentView, now: Date): boolean {
  return (
    suspendedAt !== null && courses.some((course) => course.stops && course.deleteAt(suspendedAt) <= now)
  );
}

function first(dates: readonly (Date | null)[]): Date | null {
  const times = dates.filter((date) => date !== null).map((date) => date.getTime());
  return times.length === 0 ? null : new Date(Math.min(...times));
}
