import type { Subscription } from '../stripe/subscription-view.ts';
import { type Course, later, latest } from './course.ts';
import type { AgentView, Announcement, AnnouncementType, Demand } from './decision.ts';
import type { BillingPolicy } from './policy.ts';

const HOUR = 3600 * 1000;

/** What one course demands now, and when it will demand more. */
export interface Timetable {
  demand: Demand;
  suspendAt: Date;
  /** Null where the deletion comes first. */
  hibernateAt: Date | null;
  /** Null while something forbids it. */
  deleteAt: Date | null;
  announce: Announcement[];
  /** Every time at which something of the above changes. */
  changesAt: Date[];
}

/** What a course is applied to. */
export interface Situation {
  subscription: Subscription;
  agent: AgentView;
  policy: BillingPolicy;
  now: Date;
  /** A dispute or the operator's protection. */
  deletionForbidden: boolean;
  /** A dispute. */
  hibernationForbidden: boolean;
  /** Whether the agent is suspended and one of its courses keeps it so. */
  staysOff: boolean;
}

/**
 * Applies the rule that no harm comes unannounced: each waits until its announcement is old enough, however
 * long ago the timetable demanded it.
 */
export function applyCourse(course: Course, situation: Situation): Timetable {
  const { agent, policy, now } = situation;
  const warning = planWarning(course, situation);
  const { prefix, announcedAt, isOff, suspendAt } = warning;
  // An agent that is suspended already stays so: that is no new harm.
  const isDue = announcedAt !== undefined && now >= suspendAt;
  const stopped = course.stops && (agent.suspendedAt === null ? isDue : now >= course.stopAt);
  const suspendedAt = agent.suspendedAt ?? latest(suspendAt, now);
  const countsFrom = latest(suspendedAt, course.countsFrom);
  const deletion = planDeletion(course, situation, { prefix, stopped, suspendedAt });
  const toldAt = announcedAt ?? (isOff ? deletion.announcedAt : undefined);
  const hibernateAt = latest(later(countsFrom, policy.hibernateAfterMs), warning.noticedAt(toldAt));
  const hibernates = !situation.hibernationForbidden && !(deletion.at !== null && deletion.at <= hibernateAt);
  const isDeletionDue = deletion.announcedAt !== undefined && deletion.at !== null && now >= deletion.at;
  const demand = toDemand({
    stopped,
    hibernate: agent.suspendedAt !== null && toldAt !== undefined && hibernates && now >= hibernateAt,
    destroy: agent.suspendedAt !== null && isDeletionDue,
  });
  const harm: Pick<Announcement, 'harm' | 'harmAt'> =
    agent.suspendedAt === null
      ? { harm: 'suspend', harmAt: suspendAt }
      : { harm: 'hibernate', harmAt: hibernates ? hibernateAt : null };
  return {
    demand,
    suspendAt,
    hibernateAt: hibernates ? hibernateAt : null,
    deleteAt: deletion.at,
    announce: [
      ...firstWarning(course, situation, suspendAt),
      ...warning.announce.map((one) => ({ ...one, ...harm })),
      ...deletion.announce,
    ],
    changesAt: [course.warnAt, course.stopAt, suspendAt, hibernateAt, ...deletion.changesAt],
  };
}

/**
 * When the suspension was announced, and when it comes. An agent that is off when its subscription ends
 * (`isOff`) is not told that it will be suspended: what comes is the deletion, which is announced by itself.
 */
function planWarning(course: Course, situation: Situation) {
  const { agent, policy, now, staysOff } = situation;
  const prefix = keyPrefix(course, situation);
  const key = `${prefix}:will_suspend`;
  const announcedAt = findAnnounced(agent, 'agent.will_suspend', key);
  const isOff = course.kind === 'end' && staysOff;
  const noticedAt = (toldAt: Date | undefined) =>
    later(toldAt ?? latest(now, course.warnAt), policy.leastNoticeMs);
  const warns = announcedAt === undefined && !isOff && now >= course.warnAt;
  return {
    prefix,
    announcedAt,
    isOff,
    noticedAt,
    suspendAt: isOff ? course.stopAt : latest(course.stopAt, noticedAt(announcedAt)),
    announce: warns ? [{ type: 'agent.will_suspend' as const, key }] : [],
  };
}

/**
 * The first warning of a debt, at once; the second, `agent.will_suspend`, names the day of the suspension.
 */
function firstWarning(course: Course, situation: Situation, suspendAt: Date): Announcement[] {
  const { agent, now } = situation;
  if (course.kind !== 'debt' || now >= course.warnAt) return [];
  const prefix = keyPrefix(course, situation);
  const key = `${prefix}:payment_failed`;
  const isLate = findAnnounced(agent, 'agent.will_suspend', prefix) !== undefined;
  if (isLate || findAnnounced(agent, 'agent.payment_failed', key) !== undefined) return [];
  return [{ type: 'agent.payment_failed', key, harm: 'suspend', harmAt: suspendAt }];
}

function planDeletion(
  course: Course,
  { agent, policy, now, subscription, deletionForbidden }: Situation,
  { prefix, stopped, suspendedAt }: { prefix: string; stopped: boolean; suspendedAt: Date },
): { at: Date | null; announcedAt: Date | undefined; announce: Announcement[]; changesAt: Date[] } {
  if (deletionForbidden) return { at: null, announcedAt: undefined, announce: [], changesAt: [] };
  // A later suspension, or a dispute that was decided in between, makes earlier announcements void.
  const { closedDisputes } = subscription;
  const notices = `${prefix}:will_delete:${suspendedAt.toISOString()}:${closedDisputes}`;
  const announcedAt = findAnnounced(agent, 'agent.will_delete', notices);
  const [longest = 0] = policy.deleteNoticesMs;
  const timetable = latest(course.deleteAt(suspendedAt), later(suspendedAt, policy.leastNoticeMs));
  const firstNotice = latest(now, later(timetable, -longest));
  const at = latest(timetable, later(announcedAt ?? firstNotice, policy.leastNoticeMs));
  const due = policy.deleteNoticesMs.filter((notice) => now >= later(at, -notice));
  const key = `${notices}:${(due.at(-1) ?? 0) / HOUR}h`;
  const isNew = findAnnounced(agent, 'agent.will_delete', key) === undefined;
  const announces = stopped && due.length > 0 && isNew && now < at;
  return {
    at,
    announcedAt,
    announce: announces ? [{ type: 'agent.will_delete', key, harm: 'destroy', harmAt: at }] : [],
    changesAt: [at, ...policy.deleteNoticesMs.map((notice) => later(at, -notice))],
  };
}

function toDemand(due: { stopped: boolean; hibernate: boolean; destroy: boolean }): Demand {
  if (!due.stopped) return 'run';
  if (due.destroy) return 'destroy';
  return due.hibernate ? 'hibernate' : 'suspend';
}

function keyPrefix({ kind, anchor }: Course, { subscription }: Situation): string {
  return `${subscription.subscriptionId}:${kind}:${anchor.toISOString()}`;
}

/** Returns when an announcement whose key begins so was first queued. */
function findAnnounced(
  { announcements }: AgentView,
  type: AnnouncementType,
  prefix: string,
): Date | undefined {
  const queued = announcements.filter((one) => one.type === type && one.key.startsWith(prefix));
  return queued.reduce<Date | undefined>(
    (first, { at }) => (first === undefined || at < first ? at : first),
    undefined,
  );
}
