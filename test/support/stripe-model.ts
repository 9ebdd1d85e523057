import type { Invoice, Subscription } from '../../src/stripe/subscription.ts';

export const HOUR = 3600 * 1000;
export const DAY = 24 * HOUR;
const PERIOD = 30 * DAY;
const RETRIES = [3, 5, 7].map((days) => days * DAY);
const GIVES_UP = 21 * DAY;
/** How many invoices a look lists, whatever their status. */
const LISTED = 24;
export const START = Date.UTC(2027, 0, 1);

export const STARTER = 'price_starter';
export const PRO = 'price_pro';

interface Bill {
  id: string;
  status: Invoice['status'];
  at: number;
  due: number;
  remaining: number;
  attempted: boolean;
  reason: string;
  price: string;
  /** The end of the period in which it was made. */
  until: number;
  /** Nobody has paid it: a credit note took it away. */
  credited?: boolean;
}
interface Dispute {
  bill: Bill;
  state: 'open' | 'won' | 'lost';
  at: number;
}

/** What the operator chose for the end of Stripe's retries. */
export type GiveUp = 'past_due' | 'unpaid' | 'cancel' | 'uncollectible';

/**
 * A small model of one subscription at Stripe: its periods, invoices, retries and what people do about them.
 * It says by itself what is owed and what has ended, so that decisions can be compared with it.
 */
export class StripeModel {
  now = START;
  status: Subscription['status'] = 'active';
  cardWorks = true;
  price = STARTER;
  periodEnd = START;
  cancelAt: number | null = null;
  canceledAt: number | null = null;
  endedAt: number | null = null;
  cancelReason: Subscription['cancelReason'];
  pause: 'draft' | 'void' | 'uncollectible' | undefined;
  readonly bills: Bill[] = [];
  readonly disputes: Dispute[] = [];
  readonly #id: string;
  readonly #giveUp: GiveUp;
  #trialEnd: number | null = null;

  /** @param options `paidBefore`: how many periods were paid before the history begins */
  constructor(id: string, { trial = false, giveUp = 'past_due' as GiveUp, paidBefore = 0 } = {}) {
    this.#id = id;
    this.#giveUp = giveUp;
    for (let left = paidBefore; left > 0; left -= 1) {
      this.now = START - left * PERIOD;
      this.periodEnd = this.now + PERIOD;
      this.#bill(left === paidBefore ? 'subscription_create' : 'subscription_cycle', 1000);
    }
    this.now = START;
    this.periodEnd = START + (trial ? 14 * DAY : PERIOD);
    this.status = trial ? 'trialing' : 'active';
    if (trial) this.#trialEnd = this.periodEnd;
    this.#bill(paidBefore > 0 ? 'subscription_cycle' : 'subscription_create', trial ? 0 : 1000);
  }

  /** Lets time pass, with everything that Stripe does by itself meanwhile. */
  advance(to: number): void {
    for (;;) {
      const [next] = this.#schedule()
        .filter(({ at }) => at > this.now && at <= to)
        .sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.now = next.at;
      next.run();
    }
    this.now = to;
  }

  #schedule(): { at: number; run: () => void }[] {
    if (this.hasEnded) return [];
    const events = [{ at: this.periodEnd, run: () => this.#renew() }];
    if (this.cancelAt !== null) events.push({ at: this.cancelAt, run: () => this.#end('requested') });
    const failing = this.status === 'past_due' ? this.latest : undefined;
    if (failing?.status === 'open') {
      for (const after of RETRIES) events.push({ at: failing.at + after, run: () => this.retry() });
      events.push({ at: failing.at + GIVES_UP, run: () => this.#stopRetrying(failing) });
    }
    return events;
  }

  #renew(): void {
    if (this.cancelAt !== null && this.cancelAt <= this.now) {
      this.#end('requested');
      return;
    }
    if (this.status === 'trialing' && !this.cardWorks) {
      this.status = 'paused';
      this.periodEnd = this.now + 1000 * PERIOD;
      return;
    }
    if (this.status === 'trialing') this.status = 'active';
    this.periodEnd = this.now + PERIOD;
    this.#bill('subscription_cycle', this.price === PRO ? 2000 : 1000);
  }

  #bill(reason: string, amount: number): void {
    const bill: Bill = {
      id: `in_${this.bills.length}`,
      status: 'open',
      at: this.now,
      due: amount,
      remaining: amount,
      attempted: this.pause === undefined && this.status !== 'unpaid',
      reason,
      price: this.price,
      until: this.periodEnd,
    };
    this.bills.unshift(bill);
    if (this.status === 'unpaid') bill.status = 'draft';
    else if (this.pause !== undefined) bill.status = this.pause;
    else if (this.cardWorks || amount === 0) this.#settle(bill, 'paid');
    else this.status = 'past_due';
  }

  retry(): void {
    if (this.cardWorks && this.latest?.status === 'open') this.#settle(this.latest, 'paid');
  }

  #stopRetrying(bill: Bill): void {
    if (this.#giveUp === 'unpaid') this.status = 'unpaid';
    if (this.#giveUp === 'uncollectible') bill.status = 'uncollectible';
    if (this.#giveUp === 'cancel') this.#end('payment_failed');
  }

  #end(reason: 'requested' | 'payment_failed'): void {
    this.status = 'canceled';
    this.endedAt = this.now;
    this.cancelReason = reason;
    if (reason === 'payment_failed') this.canceledAt = this.now;
  }

  #settle(bill: Bill, status: 'paid' | 'void'): void {
    bill.status = status;
    if (status === 'paid') bill.remaining = 0;
    const isGood = this.latest?.status === 'paid' || !this.bills.some((other) => other.status === 'open');
    if (['past_due', 'unpaid'].includes(this.status) && isGood) this.status = 'active';
  }

  get hasEnded(): boolean {
    return this.status === 'canceled';
  }

  /** The newest invoice that was issued. */
  get latest(): Bill | undefined {
    return this.bills.find(({ status }) => status !== 'draft' && status !== 'void');
  }

  get #open(): Bill[] {
    return this.bills.filter(({ status, remaining }) => status === 'open' && remaining > 0);
  }

  setCard(works: boolean): void {
    this.cardWorks = works;
  }

  pauseCollection(behavior: StripeModel['pause']): void {
    this.pause = behavior;
  }

  payOldest(): void {
    const bill = this.#open.at(-1);
    if (bill) this.#settle(bill, 'paid');
  }

  payAll(): void {
    const owed = this.bills.filter(({ status }) => status === 'open' || status === 'uncollectible');
    for (const bill of owed) this.#settle(bill, 'paid');
    if (this.status === 'paused') {
      this.status = 'active';
      this.periodEnd = this.now + PERIOD;
      const worked = this.cardWorks;
      this.cardWorks = true;
      this.#bill('subscription_cycle', 1000);
      this.cardWorks = worked;
    }
  }

  payPartly(): void {
    const bill = this.#open.at(-1);
    if (bill && bill.remaining > 1) bill.remaining = Math.ceil(bill.remaining / 2);
  }

  voidNewest(): void {
    const [bill] = this.#open;
    if (bill) this.#settle(bill, 'void');
  }

  creditNewest(): void {
    const [bill] = this.#open;
    if (bill === undefined) return;
    bill.credited = bill.remaining === bill.due;
    this.#settle(bill, 'paid');
  }

  cancelAtPeriodEnd(): void {
    if (this.hasEnded || this.status === 'paused') return;
    this.cancelAt = this.periodEnd;
    this.canceledAt = this.now;
  }

  undoCancel(): void {
    if (this.hasEnded) return;
    this.cancelAt = null;
    this.canceledAt = null;
  }

  cancelNow(): void {
    if (this.hasEnded) return;
    this.canceledAt = this.now;
    this.#end('requested');
  }

  changePlan(price: string): void {
    if (this.hasEnded || this.status === 'paused' || this.price === price) return;
    this.price = price;
    if (price === PRO) this.#bill('subscription_update', 500);
  }

  dispute(): void {
    const bill = this.bills.find((one) => one.status === 'paid' && one.due > 0);
    if (bill && !this.disputes.some((one) => one.bill === bill))
      this.disputes.push({ bill, state: 'open', at: this.now });
  }

  decideDispute(state: 'won' | 'lost'): void {
    const open = this.disputes.find((one) => one.state === 'open');
    if (open) open.state = state;
  }

  get isDisputed(): boolean {
    return this.disputes.some(({ state }) => state === 'open');
  }

  get decidedDisputes(): number {
    return this.disputes.filter(({ state }) => state !== 'open').length;
  }

  get #lostNow(): Dispute | undefined {
    const current = this.bills.find(
      ({ status, reason }) => status !== 'draft' && status !== 'void' && reason !== 'subscription_update',
    );
    return this.disputes.find(({ bill, state }) => state === 'lost' && bill === current);
  }

  /** Whether Stripe has given up collecting. */
  get hasGivenUp(): boolean {
    return this.status === 'unpaid' || this.status === 'canceled';
  }

  /** Since when money is owed, by the rules in docs/billing.md. */
  get owedSince(): number | null {
    if (this.status === 'canceled' && this.cancelReason === 'requested') return null;
    const settled = this.bills.filter(({ status }) => status === 'paid' || status === 'void');
    const settledAt = Math.max(-1, ...settled.map(({ at }) => at));
    const writtenOff = ['past_due', 'unpaid', 'canceled'].includes(this.status);
    const times = [
      ...this.#open.map(({ at }) => at),
      ...this.bills
        .filter(
          (bill) => bill.status === 'uncollectible' && bill.attempted && writtenOff && bill.at > settledAt,
        )
        .map(({ at }) => at),
      ...(this.#lostNow && !this.hasEnded ? [this.#lostNow.at] : []),
      ...(this.status === 'paused' ? [this.#trialEnd ?? 0] : []),
    ];
    return times.length === 0 ? null : Math.min(...times);
  }

  /** When the service ended, or will end, because its owner wants it to. */
  get endsAt(): number | null {
    if (!this.hasEnded) return this.cancelAt;
    if (this.cancelReason === 'requested') return this.endedAt;
    if (this.owedSince !== null) return null;
    return this.servesPaidPeriod ? Math.max(this.endedAt ?? 0, this.periodEnd) : this.endedAt;
  }

  /** Whether Stripe gave up, and the period was paid for all the same. */
  get servesPaidPeriod(): boolean {
    if (this.cancelReason !== 'payment_failed') return false;
    const bill = this.bills.find(
      ({ status, reason }) => status !== 'draft' && reason !== 'subscription_update',
    );
    return bill?.status === 'paid' && bill.credited !== true;
  }

  /** Until when the larger plan is paid for; null if it never was. */
  get paidForPro(): number | null {
    const paid = this.bills.filter(({ status, price }) => status === 'paid' && price === PRO);
    return paid.length === 0 ? null : Math.max(...paid.map(({ until }) => until));
  }

  /** Every invoice, newest first. */
  allInvoices(): Invoice[] {
    return this.bills.map((bill) => ({
      invoiceId: bill.id,
      status: bill.status,
      dueAt: new Date(bill.at),
      createdAt: new Date(bill.at),
      amountDue: bill.due,
      amountRemaining: bill.remaining,
      paid: bill.status === 'paid',
      credited: bill.credited === true,
      attempted: bill.attempted,
      billingReason: bill.reason,
      periodEnd: null,
      payPage: null,
      priceIds: [bill.price],
    }));
  }

  /** The subscription as reading it from Stripe would give it. */
  view(): Subscription {
    const date = (time: number | null) => (time === null ? null : new Date(time));
    const lost = this.#lostNow;
    return {
      subscriptionId: this.#id,
      customerId: 'cus_shared',
      status: this.status,
      collectionPaused: this.pause !== undefined,
      cancelAt: date(this.cancelAt),
      canceledAt: date(this.canceledAt),
      cancelReason: this.cancelReason,
      endedAt: date(this.endedAt),
      trialEnd: date(this.#trialEnd),
      periodEnd: date(this.periodEnd),
      items: [{ priceId: this.price, lookupKey: null, productId: 'prod_1', quantity: 1 }],
      metadata: {},
      livemode: false,
      oddities: [],
      invoices: this.allInvoices().filter(({ status }, index) => index < LISTED || status === 'open'),
      hasOpenDispute: this.isDisputed,
      closedDisputes: this.decidedDisputes,
      lostDisputeOfCurrentPeriod: lost !== undefined,
      lostDisputeAt: date(lost?.at ?? null),
    };
  }
}
