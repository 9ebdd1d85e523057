// What docs/billing.md promises, written a second time and without the service's code, so that a year can be
// judged by it: from a subscription's present state at Stripe, what was announced and when the agent was
// suspended, what the clouds must hold at a moment.

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** The timetable's defaults. */
const WARN_AFTER = 7 * DAY;
const SUSPEND_AFTER = 14 * DAY;
const HIBERNATE_AFTER = 7 * DAY;
const DELETE_AFTER = 30 * DAY;
const CANCEL_GRACE = 3 * DAY;
const LEAST_NOTICE = 18 * HOUR;
const DELETE_NOTICE = 7 * DAY;

/** What the clouds may hold of one agent. */
export type Holding = 'server on' | 'server off' | 'snapshot' | 'nothing';

export interface InvoiceFacts {
  status: string;
  /** Business times are milliseconds. */
  createdAt: number;
  dueAt: number;
  remaining: number;
  attempted: boolean;
  reason: string | null;
}

export interface DisputeFacts {
  isOpen: boolean;
  isLost: boolean;
  openedAt: number;
  /** Whether it is about what paid for the current period. */
  isCurrent: boolean;
}

/** A subscription's present state, as Stripe's API tells it. */
export interface Facts {
  subscriptionId: string;
  agentId: string;
  status: string;
  cancelAt: number | null;
  canceledAt: number | null;
  endedAt: number | null;
  /** Whether its owner asked for the end, and no payment did. */
  endWasRequested: boolean;
  trialEnd: number | null;
  periodEnd: number | null;
  invoices: readonly InvoiceFacts[];
  disputes: readonly DisputeFacts[];
}

export interface Notice {
  type: string;
  key: string;
  at: number;
}

/** What the service has said and done about an agent. */
export interface Evidence {
  notices: readonly Notice[];
  /** Since when the payment hold exists. */
  suspendedSince: number | null;
  /** A person holds it for abuse. */
  isHeldForAbuse: boolean;
  /** What the clouds held, rightly, the night before. */
  before: string | undefined;
}

export interface Verdict {
  holding: Holding;
  /** What is wrong already, whatever the clouds hold. */
  problems: string[];
}

/** Why an agent has to stop. */
interface Cause {
  kind: 'debt' | 'end';
  anchor: number;
  warnAt: number;
  stopAt: number;
  /** Whether it has come: a planned end stops nothing. */
  hasCome: boolean;
  deleteAt(suspendedSince: number): number;
}

const isOver = ({ status }: Facts) => status === 'canceled' || status === 'incomplete_expired';

/** Since when money is owed at a time; null if nothing is. */
export function owedSince(facts: Facts, now: number): number | null {
  const { status, invoices } = facts;
  if (status.startsWith('incomplete') || (status === 'canceled' && facts.endWasRequested)) return null;
  const owed = invoices.filter((invoice) => invoice.dueAt <= now && isOwed(invoice, facts));
  const lost = facts.disputes.filter(({ isLost, isCurrent }) => isLost && isCurrent && status !== 'canceled');
  const times = [...owed.map(({ dueAt }) => dueAt), ...lost.map(({ openedAt }) => openedAt)];
  if (status === 'paused') times.push(facts.trialEnd ?? facts.periodEnd ?? now);
  if (times.length === 0 || Math.min(...times) > now) return null;
  const since = Math.min(...times);
  const hasFailed = ['past_due', 'unpaid', 'canceled', 'paused'].includes(status) || lost.length > 0;
  const mayBeOnItsWay = !hasFailed && owed.every((invoice) => invoice === newestOf(invoices));
  return mayBeOnItsWay && now < since + WARN_AFTER ? null : since;
}

function isOwed(invoice: InvoiceFacts, { status, invoices }: Facts): boolean {
  if (invoice.remaining <= 0) return false;
  if (invoice.status === 'open') return true;
  if (invoice.status !== 'uncollectible' || !invoice.attempted) return false;
  const isSettledSince = invoices.some(
    (other) => ['paid', 'void'].includes(other.status) && other.createdAt >= invoice.createdAt,
  );
  return ['past_due', 'unpaid', 'canceled'].includes(status) && !isSettledSince;
}

function newestOf(invoices: readonly InvoiceFacts[]): InvoiceFacts | undefined {
  const issued = invoices.filter(({ status }) => status !== 'draft' && status !== 'void');
  return issued.toSorted((one, other) => other.createdAt - one.createdAt)[0];
}

/** When the service ends because its owner wants that; null if it goes on. */
function endsAt(facts: Facts, now: number): number | null {
  if (!isOver(facts)) return facts.cancelAt;
  const ended = facts.endedAt ?? facts.canceledAt ?? now;
  if (facts.endWasRequested || facts.status === 'incomplete_expired') return ended;
  if (owedSince(facts, now) !== null) return null;
  // Paid after Stripe had given up: the period that was paid for is served.
  return Math.max(ended, facts.periodEnd ?? ended);
}

/** Whether everything is paid for at a time, so that no harm may be done. */
export function isPaidUp(facts: Facts, now: number): boolean {
  return listCauses(facts, now).every(({ hasCome, kind }) => kind === 'end' && !hasCome);
}

function listCauses(facts: Facts, now: number): Cause[] {
  const since = owedSince(facts, now);
  const end = endsAt(facts, now);
  const causes: Cause[] = [];
  if (since !== null) {
    const hasGivenUp = facts.status === 'unpaid' || facts.status === 'canceled';
    const stopAt = hasGivenUp ? since : since + SUSPEND_AFTER;
    const deleteAt = (suspended: number) => Math.max(suspended, stopAt) + DELETE_AFTER;
    const warnAt = hasGivenUp ? since : since + WARN_AFTER;
    causes.push({ kind: 'debt', anchor: since, warnAt, stopAt, hasCome: true, deleteAt });
  }
  if (end !== null) {
    const anchor = facts.canceledAt ?? end;
    const hasCome = isOver(facts) && end <= now;
    const deleteAt = () => end + CANCEL_GRACE;
    causes.push({ kind: 'end', anchor, warnAt: end - WARN_AFTER, stopAt: end, hasCome, deleteAt });
  }
  return causes;
}

/** Says what the clouds must hold of an agent at a time. */
export function judge(facts: Facts, evidence: Evidence, now: number): Verdict {
  if (evidence.before === 'nothing') return { holding: 'nothing', problems: [] };
  const verdicts = listCauses(facts, now).map((cause) => applyCause(cause, facts, evidence, now));
  const problems = verdicts.flatMap((verdict) => verdict.problems);
  const demands = verdicts.map(({ holding }) => holding);
  const hardest = ORDER.findLast((holding) => demands.includes(holding)) ?? 'server on';
  const isHeld = hardest !== 'server on' || evidence.isHeldForAbuse;
  const isKept = evidence.before === 'snapshot' && isHeld && hardest !== 'nothing';
  if (isKept) return { holding: 'snapshot', problems };
  return { holding: hardest === 'server on' && isHeld ? 'server off' : hardest, problems };
}

const ORDER: readonly Holding[] = ['server on', 'server off', 'snapshot', 'nothing'];

function applyCause(cause: Cause, facts: Facts, evidence: Evidence, now: number): Verdict {
  const { suspendedSince } = evidence;
  const prefix = `${facts.subscriptionId}:${cause.kind}:${new Date(cause.anchor).toISOString()}:`;
  const warnedAt = firstNotice(evidence, 'agent.will_suspend', `${prefix}will_suspend`);
  const problems = listMissing(cause, facts, evidence, { prefix, warnedAt, now });
  if (!cause.hasCome || now < cause.stopAt) return { holding: 'server on', problems };
  if (suspendedSince === null) {
    const isDue = warnedAt !== undefined && now >= Math.max(cause.stopAt, warnedAt + LEAST_NOTICE);
    return { holding: isDue ? 'server off' : 'server on', problems };
  }
  if (facts.disputes.some(({ isOpen }) => isOpen)) return { holding: 'server off', problems };
  const deletion = planDeletion(cause, facts, evidence, prefix);
  if (deletion.noticedAt !== undefined && now >= deletion.at) return { holding: 'nothing', problems };
  // If the agent is off when the subscription ends, only the deletion is announced.
  const toldAt = warnedAt ?? (cause.kind === 'end' ? deletion.noticedAt : undefined);
  const hibernateAt = Math.max(
    Math.max(suspendedSince, cause.stopAt) + HIBERNATE_AFTER,
    (toldAt ?? now) + LEAST_NOTICE,
  );
  const hibernates = toldAt !== undefined && now >= hibernateAt && hibernateAt < deletion.at;
  return { holding: hibernates ? 'snapshot' : 'server off', problems };
}

function planDeletion(
  cause: Cause,
  facts: Facts,
  evidence: Evidence,
  prefix: string,
): { at: number; firstNoticeAt: number; noticedAt: number | undefined } {
  const suspendedSince = evidence.suspendedSince ?? 0;
  const closed = facts.disputes.filter(({ isOpen }) => !isOpen).length;
  // A later suspension, or a dispute decided meanwhile, makes earlier announcements void.
  const key = `${prefix}will_delete:${new Date(suspendedSince).toISOString()}:${closed}`;
  const noticedAt = firstNotice(evidence, 'agent.will_delete', key);
  const timetable = Math.max(cause.deleteAt(suspendedSince), suspendedSince + LEAST_NOTICE);
  const firstNoticeAt = timetable - DELETE_NOTICE;
  return { at: Math.max(timetable, (noticedAt ?? timetable) + LEAST_NOTICE), firstNoticeAt, noticedAt };
}

/** What should have been announced by now. */
function listMissing(
  cause: Cause,
  facts: Facts,
  evidence: Evidence,
  { prefix, warnedAt, now }: { prefix: string; warnedAt: number | undefined; now: number },
): string[] {
  const missing: string[] = [];
  const isOff = cause.kind === 'end' && evidence.suspendedSince !== null;
  if (now >= cause.warnAt && warnedAt === undefined && !isOff)
    missing.push(`${prefix}will_suspend is not announced`);
  const isFirst = cause.kind === 'debt' && now < cause.warnAt;
  if (isFirst && firstNotice(evidence, 'agent.payment_failed', prefix) === undefined)
    missing.push(`${prefix}payment_failed is not announced`);
  const isDisputed = facts.disputes.some(({ isOpen }) => isOpen);
  if (evidence.suspendedSince === null || !cause.hasCome || now < cause.stopAt || isDisputed) return missing;
  const { firstNoticeAt, noticedAt } = planDeletion(cause, facts, evidence, prefix);
  if (now >= firstNoticeAt && noticedAt === undefined) missing.push(`${prefix}will_delete is not announced`);
  return missing;
}

function firstNotice({ notices }: Evidence, type: string, prefix: string): number | undefined {
  const found = notices.filter((notice) => notice.type === type && notice.key.startsWith(prefix));
  return found.length === 0 ? undefined : Math.min(...found.map(({ at }) => at));
}

/** A change that the service made by itself, at a business time. */
export interface Harm {
  kind: string;
  at: number;
}

/** Says what is wrong with a harm that was not announced, or that met an agent whose owner had paid. */
export function judgeHarm(
  { kind, at }: Harm,
  { notices, paidUpSince }: { notices: readonly Notice[]; paidUpSince: number | null },
): string[] {
  const type = kind === 'destroy' ? 'agent.will_delete' : 'agent.will_suspend';
  // A second for the moment between the reading of the clock and the row.
  const isAnnounced = notices.some((notice) => notice.type === type && notice.at <= at - LEAST_NOTICE + 1000);
  const when = new Date(at).toISOString();
  return [
    ...(isAnnounced ? [] : [`${kind} at ${when} was not announced by ${type}`]),
    ...(paidUpSince !== null && paidUpSince < at
      ? [`${kind} at ${when}, paid up since ${new Date(paidUpSince).toISOString()}`]
      : []),
  ];
}
