import { setTimeout as pause } from 'node:timers/promises';
import type { Installation } from './installation.ts';
import type { Customer } from './year-customers.ts';
import { nameHolding, readHoldings, readRecord, type ServiceRecord } from './year-evidence.ts';
import { type Evidence, type Facts, type Holding, isPaidUp, judge, judgeHarm } from './year-oracle.ts';
import type { YearReport } from './year-report.ts';
import type { YearStripe } from './year-stripe.ts';

/** Longer than the loops of the service that find what nothing else has told. */
const SECOND_LOOK_SECONDS = 15;
const DAY_SECONDS = 24 * 3600;

interface Context {
  installation: Installation;
  stripe: YearStripe;
  customers: readonly Customer[];
  report: YearReport;
}

/** What was found about one agent. */
interface Finding {
  agentId: string;
  facts: Facts | undefined;
  evidence: Evidence;
  held: string;
  /** More than one where a date of the timetable fell between the move of the clock and this look. */
  rightful: Holding[];
  problems: string[];
}

const isWrong = ({ held, rightful, problems }: Finding) =>
  problems.length > 0 || !rightful.some((one) => one === held);

/** What must be true of an agent; without a subscription, that the clouds hold nothing of it. */
function judgeAgent(
  facts: Facts | undefined,
  evidence: Evidence,
  { times, known }: { times: readonly number[]; known: number | null },
): Pick<Finding, 'rightful' | 'problems'> {
  if (facts === undefined) return { rightful: ['nothing'], problems: ['it belongs to no subscription'] };
  const verdicts = times.map((time) => judge(facts, evidence, time));
  const { suspendedSince } = evidence;
  const isNew = suspendedSince !== null && suspendedSince !== known;
  const isEarly = isNew && !mayBeSuspended(facts, evidence, suspendedSince);
  return {
    rightful: [...new Set(verdicts.map(({ holding }) => holding))],
    // What is due only since the clock was moved may be announced a moment later.
    problems: [...(verdicts[0]?.problems ?? []), ...(isEarly ? ['it was suspended too early'] : [])],
  };
}

/** Whether an agent that was not suspended had to be at this time. */
function mayBeSuspended(facts: Facts, evidence: Evidence, at: number): boolean {
  const unsuspended = { ...evidence, suspendedSince: null, isHeldForAbuse: false, before: undefined };
  return judge(facts, unsuspended, at + 1000).holding !== 'server on';
}

/** One whose agent is deleted is gone once the subscription has ended, which the operator sees to. */
function endCustomer(customer: Customer, { status }: Facts, now: number): void {
  if (status === 'canceled' || status === 'incomplete_expired') customer.isGone = true;
  else if (customer.steps.every(({ act }) => act !== 'cancel-deleted'))
    customer.steps = [{ at: now, act: 'cancel-deleted' }];
}

/** Compares everything at midnight: clouds, subscriptions, announcements, and what was done since. */
export class Night {
  readonly #context: Context;
  readonly #before = new Map<string, { held: string; suspendedSince: number | null }>();
  /** Agents that were found wrong once: what follows from it says nothing new. */
  readonly #wrong = new Set<string>();
  readonly #lost = new Set<string>();
  #lastHarm = 0;

  constructor(context: Context) {
    this.#context = context;
  }

  /** @returns what is wrong, in words; it is added to the report */
  async compare(): Promise<string[]> {
    const { report, stripe } = this.#context;
    const from = Math.floor((await stripe.now()) / (DAY_SECONDS * 1000)) * DAY_SECONDS * 1000;
    let { findings, record, now } = await this.#look(from);
    if (findings.some(isWrong)) {
      await pause(SECOND_LOOK_SECONDS * 1000);
      report.secondLooks += 1;
      ({ findings, record, now } = await this.#look(from));
    }
    for (const { agentId, held, evidence } of findings)
      this.#before.set(agentId, { held, suspendedSince: evidence.suspendedSince });
    const told = findings.filter(isWrong).map((finding) => this.#violate(finding, now));
    for (const { held } of findings) report.compared[held] = (report.compared[held] ?? 0) + 1;
    this.#updateCustomers(findings, now);
    told.push(...this.#checkHarms(record));
    report.nights += 1;
    await this.#noteLost(from);
    return told;
  }

  async #look(from: number): Promise<{ findings: Finding[]; record: ServiceRecord; now: number }> {
    const { installation, stripe } = this.#context;
    const [facts, record, holdings] = await Promise.all([
      stripe.readAll(),
      readRecord(installation, this.#lastHarm),
      readHoldings(installation),
    ]);
    const now = await stripe.now();
    const byAgent = new Map(facts.map((one) => [one.agentId, one]));
    const agentIds = new Set([...byAgent.keys(), ...holdings.keys()]);
    const findings = [...agentIds]
      .filter((agentId) => !this.#wrong.has(agentId))
      .map((agentId) => {
        const own = byAgent.get(agentId);
        const held = nameHolding(holdings.get(agentId));
        const evidence = this.#evidenceOf(agentId, record, held);
        const known = this.#before.get(agentId)?.suspendedSince ?? null;
        const verdict = judgeAgent(own, evidence, { times: [from, now], known });
        return { ...verdict, agentId, facts: own, evidence, held };
      });
    return { findings, record, now };
  }

  #evidenceOf(agentId: string, record: ServiceRecord, held: string): Evidence {
    const before = this.#before.get(agentId);
    // A deleted agent has no holds any more: what counted until then is what was seen the night before.
    const kept = held === 'nothing' ? (before?.suspendedSince ?? null) : null;
    return {
      notices: record.notices.get(agentId) ?? [],
      suspendedSince: record.suspendedSince.get(agentId) ?? kept,
      isHeldForAbuse: record.heldForAbuse.has(agentId),
      before: before?.held,
    };
  }

  #violate({ agentId, held, rightful, problems, facts, evidence }: Finding, now: number): string {
    this.#wrong.add(agentId);
    const at = new Date(now).toISOString();
    const detail = `${at} ${agentId}: ${held}, rightful is ${rightful.join(' or ')}${problems.map((one) => `; ${one}`).join('')}`;
    const known = JSON.stringify({ facts, evidence });
    const invariant = 'the clouds hold what the subscriptions demand, announced before';
    this.#context.report.violations.push({ invariant, detail: `${detail} ${known}` });
    return detail;
  }

  #updateCustomers(findings: readonly Finding[], now: number): void {
    const byAgent = new Map(findings.map((finding) => [finding.agentId, finding]));
    for (const customer of this.#context.customers) {
      const finding = byAgent.get(customer.agentId);
      const facts = finding?.facts;
      if (facts === undefined || !isPaidUp(facts, now)) customer.paidUpSince = null;
      else customer.paidUpSince ??= now;
      if (finding === undefined) customer.isGone ||= this.#wrong.has(customer.agentId);
      else if (finding.held === 'nothing' && facts !== undefined) endCustomer(customer, facts, now);
    }
  }

  #checkHarms({ harms, notices }: ServiceRecord): string[] {
    const { customers, report } = this.#context;
    const byAgent = new Map(customers.map((customer) => [customer.agentId, customer]));
    const told: string[] = [];
    for (const harm of harms) {
      this.#lastHarm = Math.max(this.#lastHarm, harm.id);
      report.harms += 1;
      const paidUpSince = byAgent.get(harm.agentId)?.paidUpSince ?? null;
      const own = notices.get(harm.agentId) ?? [];
      for (const problem of judgeHarm(harm, { notices: own, paidUpSince })) {
        const detail = `${harm.agentId}: ${problem}`;
        report.violations.push({ invariant: 'no harm unannounced, none to who paid', detail });
        told.push(detail);
      }
    }
    return told;
  }

  /** Notes which of the last two days' events never arrived. */
  async #noteLost(now: number): Promise<void> {
    const created = { gte: Math.floor(now / 1000) - 2 * DAY_SECONDS };
    const list = this.#context.stripe.api.events.list({ delivery_success: false, created, limit: 100 });
    for await (const { id } of list) this.#lost.add(id);
  }

  async countLost(): Promise<number> {
    return this.#lost.size;
  }
}
