import { decide } from '../../src/billing/decide.ts';
import type { AgentView, Decision, QueuedAnnouncement } from '../../src/billing/decision.ts';
import { DEMANDS } from '../../src/billing/decision.ts';
import { createPolicy } from '../../src/billing/policy.ts';
import { DEFAULT_DURATIONS } from '../../src/config/billing.ts';
import type { Subscription } from '../../src/stripe/subscription.ts';
import { DAY, type GiveUp, HOUR, PRO, START, STARTER, StripeModel } from './stripe-model.ts';

export const policy = createPolicy(DEFAULT_DURATIONS, { ofPrice: { [STARTER]: 'starter', [PRO]: 'pro' } });
const { suspendAfterMs, hibernateAfterMs, deleteAfterMs, cancelGraceMs, warnAgainAfterMs, leastNoticeMs } =
  policy;

/** A promise of the decision that a history broke. */
export class BrokenPromise extends Error {
  override name = 'BrokenPromise';
}

function promise(holds: boolean, what: string): void {
  if (!holds) throw new BrokenPromise(what);
}

/** Announcements of another subscription of the same customer, which must not count for this one. */
const FOREIGN: QueuedAnnouncement[] = ['agent.payment_failed', 'agent.will_suspend', 'agent.will_delete'].map(
  (type) => ({ type, key: `sub_other:debt:${new Date(START).toISOString()}:x`, at: new Date(START) }),
);

/**
 * Follows decisions about one subscription as the service does, and checks every one of them against the
 * model: what is owed, when each cause was first seen, what was announced and what was done already.
 */
export class Follower {
  readonly agent: { -readonly [Key in keyof AgentView]: AgentView[Key] } = {
    status: 'running',
    protected: false,
    plan: 'starter',
    unpaidSince: null,
    suspendedAt: null,
    announcements: [],
  };
  nextAt: number | null = START;
  last: Decision | undefined;
  /** Every change of the shown state, as `from → to`. */
  readonly edges = new Set<string>();
  readonly #model: StripeModel;
  /** When each cause was first seen at a time at which its suspension had to be announced. */
  readonly #warned = new Map<string, number>();
  readonly #dates = new Map<string, number>();
  #looks = 0;

  constructor(model: StripeModel) {
    this.#model = model;
  }

  switchProtection(): void {
    this.agent.protected = !this.agent.protected;
  }

  get isGone(): boolean {
    return this.agent.status === 'destroyed';
  }

  /** Lets time pass; decides whenever the last decision asked for it, unless the service is down. */
  wait(to: number, { isDown = false } = {}): void {
    while (!isDown && !this.isGone && this.nextAt !== null && this.nextAt <= to) {
      this.#model.advance(Math.max(this.nextAt, this.#model.now));
      this.observe();
    }
    this.#model.advance(to);
  }

  /** Reads the present state, decides, checks and carries out. */
  observe({ unknown = false } = {}): void {
    if (this.isGone) return;
    const model = this.#model;
    const now = new Date(model.now);
    const seen = unknown ? 'unknown' : model.view();
    const decision = decide(seen, this.agent, policy, now);
    if (seen === 'unknown') this.#checkUnknown(decision);
    else this.#check(decision, seen, now);
    this.#carryOn(decision, now);
    if (seen !== 'unknown') this.#checkAgain(decision, seen, now);
  }

  #check(decision: Decision, seen: Subscription, now: Date): void {
    this.#noteCauses(decision);
    this.#checkPaidUp(decision);
    this.#checkHarm(decision);
    this.#checkNotLonger(decision);
    this.#checkStable(decision);
    this.#checkPlan(decision);
    // Both checks cost a decision more, so they take turns.
    if (this.#looks++ % 2 === 0) this.#checkPure(decision, seen, now);
    if (this.last !== undefined && this.last.state !== decision.state)
      this.edges.add(`${this.last.state} → ${decision.state}`);
  }

  /** Neither the order of lists, nor what is stored, nor another subscription of the customer counts. */
  #checkPure(decision: Decision, seen: Subscription, now: Date): void {
    const other = {
      ...this.agent,
      announcements: [...FOREIGN, ...this.agent.announcements].reverse(),
      unpaidSince: new Date(START - DAY),
    };
    const again = decide({ ...seen, invoices: [...seen.invoices].reverse() }, other, policy, now);
    promise(same(decision, again), 'depends on more than the present state and its own announcements');
  }

  #checkUnknown({ demand, hold, announce, plan }: Decision): void {
    const isHeld = this.agent.suspendedAt !== null;
    const present = this.agent.status === 'hibernated' ? 'hibernate' : isHeld ? 'suspend' : 'run';
    promise(hold.wanted === isHeld, 'an unknown subscription changes the hold');
    promise(rank(demand) <= rank(present), 'an unknown subscription harms');
    promise(announce.length === 0 && plan === 'keep', 'an unknown subscription changes something');
  }

  /** What was seen, and since when: harm may wait for the announcement that the first look made. */
  #noteCauses({ demand }: Decision): void {
    const { now, owedSince, hasGivenUp, endsAt } = this.#model;
    if (owedSince !== null && (hasGivenUp || now >= owedSince + warnAgainAfterMs))
      this.#note(`debt ${owedSince}`, now);
    // One that stays off is not told that it will be suspended.
    const isOff = this.agent.suspendedAt !== null && demand !== 'run';
    if (endsAt !== null && now >= endsAt - warnAgainAfterMs && !isOff) this.#note(this.#endName, now);
  }

  #note(cause: string, now: number): void {
    if (!this.#warned.has(cause)) this.#warned.set(cause, now);
  }

  get #endName(): string {
    return `end ${this.#model.canceledAt}`;
  }

  #checkPaidUp({ demand, hold, announce, deleteAt }: Decision): void {
    const { owedSince, endsAt } = this.#model;
    if (owedSince !== null || endsAt !== null) return;
    promise(demand === 'run' && !hold.wanted, 'harms an agent that is paid for');
    promise(announce.length === 0 && deleteAt === null, 'threatens an agent that is paid for');
  }

  /** Since when the timetable allows a suspension, if it does at all. */
  get #stopsAt(): number | null {
    const { owedSince, hasGivenUp, endsAt, hasEnded, now } = this.#model;
    const owed = owedSince === null ? null : hasGivenUp ? owedSince : owedSince + suspendAfterMs;
    const ended = hasEnded && endsAt !== null ? endsAt : null;
    const times = [owed, ended].filter((time) => time !== null && time <= now) as number[];
    return times.length === 0 ? null : Math.min(...times);
  }

  #checkHarm({ demand, hold }: Decision): void {
    const { now, owedSince, canceledAt, endedAt, isDisputed } = this.#model;
    const { suspendedAt, status } = this.agent;
    promise(hold.wanted === (demand !== 'run'), 'demands a stop without a hold, or a hold without a stop');
    if (demand === 'run') return;
    promise(this.#stopsAt !== null, 'stops an agent that its timetable lets run');
    const cause = Math.min(owedSince ?? Number.POSITIVE_INFINITY, canceledAt ?? endedAt ?? now);
    if (suspendedAt === null)
      promise(this.#wasAnnounced('agent.will_suspend', cause), 'suspends without an announcement');
    promise(demand === 'suspend' || suspendedAt !== null, 'does more to a running agent than suspend it');
    if (demand === 'suspend' || suspendedAt === null) return;
    promise(!isDisputed, 'hibernates or deletes although a payment is disputed');
    if (demand === 'hibernate' && status !== 'hibernated')
      promise(now >= suspendedAt.getTime() + hibernateAfterMs, 'hibernates too early');
    if (demand === 'destroy') this.#checkDestroy(suspendedAt.getTime());
  }

  #checkDestroy(suspendedAt: number): void {
    const { now, owedSince, endsAt, hasEnded, cancelReason, servesPaidPeriod } = this.#model;
    const isWaived = cancelReason === 'payment_failed' && !servesPaidPeriod;
    promise(!this.agent.protected, 'deletes a protected agent');
    promise(this.#wasAnnounced('agent.will_delete', suspendedAt), 'deletes without an announcement');
    const owed = owedSince !== null && now >= suspendedAt + deleteAfterMs;
    // One that Stripe cancelled for want of payment keeps the long time, also if its debt is waived.
    const end = isWaived ? Math.max(endsAt ?? 0, suspendedAt) + deleteAfterMs : (endsAt ?? 0) + cancelGraceMs;
    const ended = hasEnded && endsAt !== null && now >= end;
    promise(owed || ended, 'deletes too early');
  }

  #wasAnnounced(type: string, from: number): boolean {
    const latest = this.#model.now - leastNoticeMs;
    return this.agent.announcements.some(
      (one) => one.type === type && one.at.getTime() >= from && one.at.getTime() <= latest,
    );
  }

  /** An agent runs no longer than the timetable and the announcements that lost looks delayed. */
  #checkNotLonger({ demand }: Decision): void {
    const { now, owedSince, hasGivenUp, endsAt, hasEnded } = this.#model;
    const debtSeen = owedSince === null ? undefined : this.#warned.get(`debt ${owedSince}`);
    if (owedSince !== null && debtSeen !== undefined) {
      const stop = Math.max(hasGivenUp ? owedSince : owedSince + suspendAfterMs, debtSeen + leastNoticeMs);
      promise(now < stop || demand !== 'run', 'lets an unpaid agent run for too long');
      this.#checkGoneInTime(demand, owedSince);
    }
    const endSeen = this.#warned.get(this.#endName);
    if (
      hasEnded &&
      endsAt !== null &&
      endSeen !== undefined &&
      now >= Math.max(endsAt, endSeen + leastNoticeMs)
    )
      promise(demand !== 'run', 'lets an agent run after its subscription has ended');
  }

  #checkGoneInTime(demand: Decision['demand'], owedSince: number): void {
    const { now, isDisputed, decidedDisputes } = this.#model;
    if (this.agent.suspendedAt === null || this.agent.protected || isDisputed) return;
    const suspendedAt = this.agent.suspendedAt.getTime();
    const due = Math.max(suspendedAt, owedSince + suspendAfterMs) + deleteAfterMs;
    const cause = `deletion ${owedSince} ${suspendedAt} ${decidedDisputes}`;
    if (now >= due - leastNoticeMs) this.#note(cause, now);
    const gone = Math.max(due, (this.#warned.get(cause) ?? now) + leastNoticeMs);
    promise(now < gone || demand === 'destroy', 'keeps an unpaid agent for too long');
  }

  /** Once announced, the day of the suspension is moved by no retry and no new invoice. */
  #checkStable({ suspendAt }: Decision): void {
    const { owedSince, hasGivenUp, endsAt } = this.#model;
    if (owedSince === null || endsAt !== null || suspendAt === null || this.agent.suspendedAt !== null)
      return;
    const cause = `${owedSince} ${hasGivenUp}`;
    const key = `:debt:${new Date(owedSince).toISOString()}:will_suspend`;
    if (!this.agent.announcements.some((one) => one.key.endsWith(key))) return;
    const known = this.#dates.get(cause);
    if (known === undefined) this.#dates.set(cause, suspendAt.getTime());
    else promise(known === suspendAt.getTime(), 'moves a suspension that was announced');
  }

  #checkPlan({ plan }: Decision): void {
    if (plan === 'keep') return;
    const paid = this.#model.bills.some(
      ({ status, price }) => status === 'paid' && price === this.#model.price,
    );
    promise(paid && this.#model.owedSince === null, 'changes the plan before it is paid for');
    promise(plan.resizeTo === (this.#model.price === PRO ? 'pro' : 'starter'), 'resizes to another plan');
    const { now, paidForPro } = this.#model;
    const isEarly = plan.resizeTo === 'starter' && paidForPro !== null && now < paidForPro;
    promise(!isEarly, 'takes the larger plan away before its paid period is over');
  }

  #carryOn(decision: Decision, now: Date): void {
    const { agent } = this;
    const keys = new Set(agent.announcements.map(({ key }) => key));
    for (const { key, harmAt } of decision.announce) {
      promise(!keys.has(key), 'announces the same twice');
      promise(harmAt === null || harmAt > now, 'announces what happens at the same time');
      keys.add(key);
    }
    agent.announcements = [...agent.announcements, ...decision.announce.map((one) => ({ ...one, at: now }))];
    agent.unpaidSince = decision.unpaidSince;
    agent.suspendedAt = decision.hold.wanted ? decision.hold.since : null;
    agent.status = STATUS[decision.demand];
    if (decision.plan !== 'keep') agent.plan = decision.plan.resizeTo;
    this.nextAt = decision.nextAt?.getTime() ?? null;
    this.last = decision;
  }

  /** A second look at once changes nothing, and neither does one at any time before `nextAt`. */
  #checkAgain(decision: Decision, seen: Subscription, now: Date): void {
    if (this.isGone) return;
    const until = decision.nextAt?.getTime() ?? now.getTime() + 400 * DAY;
    promise(until > now.getTime(), 'asks to decide again in the past');
    const later = this.#looks % 3 === 0 ? now : new Date(until - 1);
    const again = decide(seen, this.agent, policy, later);
    promise(again.announce.length === 0, 'announces more without any news');
    promise(again.demand === decision.demand, 'demands something else without any news');
    promise(again.plan === 'keep', 'changes the plan once more');
  }
}

const STATUS = {
  run: 'running',
  suspend: 'suspended',
  hibernate: 'hibernated',
  destroy: 'destroyed',
} as const;

const rank = (demand: Decision['demand']) => DEMANDS.indexOf(demand);

/** Compares two decisions; a million histories leave no time for a comparison of all that they consist of. */
function same(one: Decision, other: Decision): boolean {
  return (
    one.state === other.state &&
    one.demand === other.demand &&
    one.hold.wanted === other.hold.wanted &&
    DATES.every((name) => one[name]?.getTime() === other[name]?.getTime()) &&
    one.announce.length === other.announce.length &&
    one.announce.every(({ key }, index) => key === other.announce[index]?.key) &&
    (one.plan === 'keep' ? other.plan === 'keep' : other.plan !== 'keep') &&
    one.attention.length === other.attention.length
  );
}

const DATES = ['unpaidSince', 'suspendAt', 'hibernateAt', 'deleteAt', 'cancelAt', 'nextAt'] as const;

type Event = (model: StripeModel, follower: Follower) => void;

/**
 * What may happen in a history, and how often among the others. The first does nothing, so that a
 * counterexample shrinks towards it.
 */
const EVENTS: readonly [name: string, weight: number, run: Event][] = [
  ['nothing happens', 3, () => undefined],
  ['the card breaks', 5, (model) => model.setCard(false)],
  ['the card works again', 2, (model) => model.setCard(true)],
  ['the oldest invoice is paid', 3, (model) => model.payOldest()],
  ['everything is paid', 3, (model) => model.payAll()],
  ['half of an invoice is paid', 2, (model) => model.payPartly()],
  ['the newest invoice is voided', 1, (model) => model.voidNewest()],
  ['Stripe retries', 2, (model) => model.retry()],
  ['cancelled at the period’s end', 2, (model) => model.cancelAtPeriodEnd()],
  ['the cancellation is undone', 1, (model) => model.undoCancel()],
  ['cancelled at once', 1, (model) => model.cancelNow()],
  ['collection is paused (draft)', 1, (model) => model.pauseCollection('draft')],
  ['collection is paused (uncollectible)', 1, (model) => model.pauseCollection('uncollectible')],
  ['collection is resumed', 2, (model) => model.pauseCollection(undefined)],
  ['a payment is disputed', 2, (model) => model.dispute()],
  ['the dispute is won', 1, (model) => model.decideDispute('won')],
  ['the dispute is lost', 2, (model) => model.decideDispute('lost')],
  ['upgraded', 2, (model) => model.changePlan(PRO)],
  ['downgraded', 1, (model) => model.changePlan(STARTER)],
  ['Stripe answers 404', 1, (_, follower) => follower.observe({ unknown: true })],
  ['protection is switched', 1, (_, follower) => follower.switchProtection()],
  ['the newest invoice is credited', 1, (model) => model.creditNewest()],
];
const STEPS = EVENTS.flatMap(([name, weight, run]) => Array.from({ length: weight }, () => ({ name, run })));

interface Step {
  index: number;
  hours: number;
  isDown: boolean;
  isSeen: boolean;
}

function toStep(code: number): Step {
  return {
    index: (code & 0xff) % STEPS.length,
    hours: (code >>> 8) & 0x1ff,
    isDown: ((code >>> 17) & 3) === 3,
    isSeen: ((code >>> 19) & 1) === 0,
  };
}

const GIVE_UPS: readonly GiveUp[] = ['past_due', 'unpaid', 'cancel', 'uncollectible'];

/** A history as numbers: the first says what kind of subscription it is, each other one is a step. */
export type HistoryCode = readonly number[];
export const TRIAL = 4;
/** More periods were paid before than one list of invoices shows; not together with a trial. */
const LONG = 24;
const PAID_BEFORE = 30;
export const MOST_CODE = 2 ** 20 - 1;

/** Returns the number of a step that is seen at once: what happens, so many days after the step before. */
export function encodeStep(name: string, days: number): number {
  const index = STEPS.findIndex((step) => step.name === name);
  if (index < 0) throw new Error(`Nothing is called ${name}`);
  return index | ((days * 24) << 8);
}

/** Runs a history. Without losses every event is seen at once. @throws BrokenPromise */
export function runHistory<F extends Follower = Follower>(
  [kind = 0, ...codes]: HistoryCode,
  { losses = true, subscriptionId = 'sub_1', follow = (model: StripeModel) => new Follower(model) as F } = {},
): F {
  const trial = (kind & TRIAL) !== 0;
  const model = new StripeModel(subscriptionId, {
    trial,
    paidBefore: !trial && (kind & LONG) === LONG ? PAID_BEFORE : 0,
    giveUp: GIVE_UPS[kind & 3]!,
  });
  const follower = follow(model);
  follower.observe();
  for (const code of codes) {
    const { index, hours, ...step } = toStep(code);
    const isDown = losses && step.isDown;
    follower.wait(model.now + hours * HOUR, { isDown });
    STEPS[index]!.run(model, follower);
    if (!losses || (step.isSeen && !isDown)) follower.observe();
    if (follower.isGone) break;
  }
  return follower;
}

/** Tells a history in words. */
export function describeHistory([kind = 0, ...codes]: HistoryCode): string {
  const steps = codes.map(toStep).map(({ index, hours, isDown, isSeen }) => {
    const seen = isDown ? ', service down' : isSeen ? '' : ', event lost';
    return `after ${(hours / 24).toFixed(1)} days${seen}: ${STEPS[index]!.name}`;
  });
  const begin = (kind & TRIAL) !== 0 ? 'trial, ' : (kind & LONG) === LONG ? 'paid for long, ' : '';
  return [`${begin}then ${GIVE_UPS[kind & 3]}`, ...steps].join('\n');
}
