import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dump } from './dump.ts';
import { Installation } from './installation.ts';
import { type Random, randomFrom } from './random.ts';
import { performAct } from './year-acts.ts';
import { type Customer, drawStory, type Step, shuffle, takeDue, troubleADay } from './year-customers.ts';
import { countOperations, untilAtRest } from './year-evidence.ts';
import { Night } from './year-night.ts';
import { isPaidUp } from './year-oracle.ts';
import { emptyReport, type YearReport } from './year-report.ts';
import { PRICES, YearStripe } from './year-stripe.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Ordering days of a large installation on a busy machine take minutes. */
const CAP_SECONDS = 900;
/** The first customers order within so many days. */
const ARRIVAL_DAYS = 20;
/** What becomes of unpaid subscriptions: the account's settings, each for a part of the year. */
const DUNNINGS = [
  { subscription: 'cancel', invoice: 'leave_open' },
  { subscription: 'mark_unpaid', invoice: 'leave_open' },
  { subscription: 'leave_past_due', invoice: 'leave_open' },
  { subscription: 'mark_unpaid', invoice: 'mark_uncollectible' },
] as const;
const DUNNING_DAYS = 45;
/** After so many wrong agents the rest says nothing new. */
const MOST_VIOLATIONS = 20;

export interface YearOptions {
  subscriptions: number;
  days: number;
  seed: number;
  /** The share of events that never arrive. */
  loss: number;
  tools: Record<string, string>;
  say(line: string): void;
}

/**
 * Lets a year of customers pass on a real installation in days of a moved clock, with events that are lost,
 * doubled and late, and compares the clouds with the subscriptions at every midnight.
 */
export async function runYear(options: YearOptions): Promise<YearReport> {
  const startedAt = Date.now();
  const installation = await Installation.create({
    tools: options.tools,
    leaseSeconds: 30,
    workerConcurrency: 3,
    environment: { ...UNLIMITED, BILLING_PLANS: writePlans() },
  });
  const report = emptyReport(options);
  try {
    await installation.startHost('all');
    await new Year(installation, options, report).run();
  } catch (error) {
    report.violations.push({ invariant: 'the year goes on', detail: String(error) });
  }
  report.seconds = Math.round((Date.now() - startedAt) / 1000);
  report.service = await countOperations(installation).catch(() => ({}));
  if (report.violations.length > 0) report.dump = await dump(installation, { report });
  await installation.stop();
  await installation.remove();
  return report;
}

/** Limits that no breaker reaches: a year's day is a moment here. */
const UNLIMITED = {
  LIMIT_DESTROYS_PER_HOUR: '999999',
  LIMIT_DESTROYS_SHARE: '100%',
  LIMIT_SUSPENSIONS_PER_DAY: '999999',
};

function writePlans(): string {
  const file = join(mkdtempSync(join(tmpdir(), 'agent-stacks-year-')), 'plans.json');
  const prices = Object.fromEntries(Object.entries(PRICES).map(([plan, key]) => [key, plan]));
  writeFileSync(file, JSON.stringify({ prices }));
  return file;
}

class Year {
  readonly #installation: Installation;
  readonly #options: YearOptions;
  readonly #report: YearReport;
  readonly #random: Random;
  readonly #stripe: YearStripe;
  readonly #night: Night;
  readonly #customers: Customer[] = [];

  constructor(installation: Installation, options: YearOptions, report: YearReport) {
    this.#installation = installation;
    this.#options = options;
    this.#report = report;
    this.#random = randomFrom(options.seed);
    this.#stripe = new YearStripe(installation);
    this.#night = new Night({ installation, stripe: this.#stripe, customers: this.#customers, report });
  }

  async run(): Promise<void> {
    const { loss, seed, days, say } = this.#options;
    await this.#stripe.offerPrices();
    await this.#rest(null);
    await this.#stripe.learnAgents();
    const faults = { lose: loss, double: 0.05, delay: 0.2, delayMs: 700, seed };
    await this.#stripe.control('PUT', '/sandbox/stripe/deliveries/faults', faults);
    const begin = Math.ceil((await this.#stripe.now()) / DAY) * DAY;
    for (let day = 0; day < days && this.#report.violations.length < MOST_VIOLATIONS; day += 1) {
      const since = Date.now();
      if (day % DUNNING_DAYS === 0) await this.#changeDunning(day / DUNNING_DAYS);
      const done = day === 0 ? [] : await this.#liveThrough(begin + (day - 1) * DAY);
      const midnight = begin + day * DAY;
      await this.#stripe.moveTo(midnight);
      await this.#rest(midnight);
      const wrong = await this.#night.compare();
      const seconds = Math.round((Date.now() - since) / 1000);
      this.#report.longestNightSeconds = Math.max(this.#report.longestNightSeconds, seconds);
      if (done.length > 0 || wrong.length > 0 || day % 30 === 0)
        say(
          `${new Date(midnight).toISOString().slice(0, 10)} (${seconds} s) ${[...done, ...wrong].join('; ')}`,
        );
    }
    this.#report.lostEvents = await this.#night.countLost();
  }

  /** What happens between two midnights, all at one moment of the day. */
  async #liveThrough(from: number): Promise<string[]> {
    const moment = from + (2 + this.#random() * 20) * HOUR;
    await this.#beginStories(moment);
    const due = this.#customers.flatMap((customer) =>
      takeDue(customer, from + DAY).map((step) => ({ customer, step })),
    );
    const orders = this.#countOrders();
    if (due.length + orders === 0) return [];
    await this.#stripe.moveTo(moment);
    const done: string[] = [];
    for (let count = 0; count < orders; count += 1) done.push(await this.#order());
    // In each story one step follows the other; the stories mix.
    const stories = [...Map.groupBy(due, ({ customer }) => customer).values()];
    for (const { customer, step } of shuffle(stories, this.#random).flat())
      done.push(await this.#perform(customer, step));
    await this.#notePaid();
    await this.#rest(null);
    return done;
  }

  async #beginStories(moment: number): Promise<void> {
    const chance = troubleADay(this.#options.subscriptions);
    for (const customer of this.#customers) {
      if (this.#random() >= chance) continue;
      if (customer.isGone || customer.steps.length > 0 || customer.paidUpSince === null) continue;
      const { items } = await this.#stripe.api.subscriptions.retrieve(customer.subscriptionId);
      const periodEnd = (items.data[0]?.current_period_end ?? 0) * 1000;
      customer.steps = drawStory(this.#random, moment, periodEnd);
    }
  }

  /** As many as are missing, over a few days. */
  #countOrders(): number {
    const { subscriptions } = this.#options;
    const missing = subscriptions - this.#customers.filter(({ isGone }) => !isGone).length;
    return Math.min(missing, Math.ceil(subscriptions / ARRIVAL_DAYS));
  }

  async #order(): Promise<string> {
    const number = this.#customers.length + 1;
    const agentId = `year-${String(number).padStart(4, '0')}`;
    const hasTrial = this.#random() < 0.1;
    const plan = this.#random() < 0.2 ? 'pro' : 'starter';
    const order = { plan, ...(hasTrial && { trialDays: 14 }) } as const;
    const subscriptionId = await this.#stripe.order(agentId, order);
    this.#customers.push({ agentId, subscriptionId, steps: [], paidUpSince: null, isGone: false });
    this.#report.ordered += 1;
    return `${agentId}: order`;
  }

  async #perform(customer: Customer, { act }: Step): Promise<string> {
    const deps = { stripe: this.#stripe, installation: this.#installation, fraction: this.#random() };
    const isDone = await performAct(act, deps, customer);
    const { acts } = this.#report;
    const name = isDone ? act : `${act} (not possible)`;
    acts[name] = (acts[name] ?? 0) + 1;
    return `${customer.agentId}: ${name}`;
  }

  /** Notes who has paid now, before the service can have heard of it. */
  async #notePaid(): Promise<void> {
    const facts = new Map((await this.#stripe.readAll()).map((one) => [one.subscriptionId, one]));
    const now = await this.#stripe.now();
    for (const customer of this.#customers) {
      const own = facts.get(customer.subscriptionId);
      if (own === undefined || !isPaidUp(own, now)) customer.paidUpSince = null;
      else customer.paidUpSince ??= now;
    }
  }

  async #changeDunning(index: number): Promise<void> {
    const settings = { retryDays: [1, 3, 5, 7, 9, 11, 13, 14], ...DUNNINGS[index % DUNNINGS.length] };
    await this.#stripe.control('PUT', '/sandbox/stripe/dunning', settings);
  }

  async #rest(since: number | null): Promise<void> {
    const context = { installation: this.#installation, stripe: this.#stripe };
    await untilAtRest(context, { since, capSeconds: CAP_SECONDS });
  }
}
