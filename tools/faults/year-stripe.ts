import Stripe from 'stripe';
import type { Installation } from './installation.ts';
import type { DisputeFacts, Facts, InvoiceFacts } from './year-oracle.ts';

const ms = (seconds: number | null | undefined) => (seconds == null ? null : seconds * 1000);

export const WORKING_CARD = 'pm_card_visa';
export const BROKEN_CARD = 'pm_card_chargeCustomerFail';
/** Lookup keys of the prices on sale; the service's plan file names them. */
export const PRICES = { starter: 'year_starter', pro: 'year_pro' } as const;
export type PlanName = keyof typeof PRICES;

/** The sandbox's Stripe, driven by the official library, its controls, and its clock. */
export class YearStripe {
  readonly api: Stripe;
  readonly #root: string;
  readonly #prices = new Map<string, string>();
  /** Agents that only a checkout session names, by subscription. */
  readonly #agents = new Map<string, string>();

  constructor({ file }: Installation) {
    this.#root = file.stripeApiUrl;
    const { hostname, port } = new URL(this.#root);
    this.api = new Stripe(file.stripeApiKey, {
      host: hostname,
      port,
      protocol: 'http',
      maxNetworkRetries: 2,
      telemetry: false,
    });
  }

  async control<T>(method: 'GET' | 'POST' | 'PUT', path: string, body?: object): Promise<T> {
    const response = await fetch(`${this.#root}${path}`, {
      method,
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(120_000),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  /** The sandbox's time, in milliseconds. */
  async now(): Promise<number> {
    return Date.parse((await this.control<{ now: string }>('GET', '/sandbox/clock')).now);
  }

  /** Moves the clock to a time, if that is ahead. */
  async moveTo(time: number): Promise<void> {
    const seconds = Math.ceil((time - (await this.now())) / 1000);
    if (seconds > 0) await this.control('POST', '/sandbox/clock', { advanceSeconds: seconds });
  }

  /** How many events are on their way to the service. */
  async onTheirWay(): Promise<number> {
    const path = '/sandbox/stripe/deliveries?limit=1';
    return (await this.control<{ onTheirWay: number }>('GET', path)).onTheirWay;
  }

  /** Learns for which agents there are subscriptions already: a new installation orders one by itself. */
  async learnAgents(): Promise<void> {
    for (const { subscription, metadata } of await all(this.api.checkout.sessions.list({ limit: 100 })))
      if (subscription !== null && metadata?.agentId !== undefined)
        this.#agents.set(String(subscription), metadata.agentId);
  }

  async offerPrices(): Promise<void> {
    for (const [plan, key] of Object.entries(PRICES)) {
      const price = await this.api.prices.create({
        currency: 'eur',
        unit_amount: plan === 'pro' ? 5900 : 2900,
        recurring: { interval: 'month' },
        lookup_key: key,
        product_data: { name: `AI agent, ${plan}` },
      });
      this.#prices.set(plan, price.id);
    }
  }

  priceOf(plan: PlanName): string {
    const id = this.#prices.get(plan);
    if (id === undefined) throw new Error(`${plan} has no price yet`);
    return id;
  }

  /** Orders an agent at the checkout and pays. @returns the subscription's id */
  async order(agentId: string, options: { plan: PlanName; trialDays?: number }): Promise<string> {
    const metadata = { agentId, userId: agentId, region: 'eu-central' };
    const { trialDays: trial_period_days } = options;
    const { id } = await this.api.checkout.sessions.create({
      mode: 'subscription',
      success_url: 'http://127.0.0.1/thanks',
      metadata,
      subscription_data: { metadata, ...(trial_period_days !== undefined && { trial_period_days }) },
      line_items: [{ price: this.priceOf(options.plan), quantity: 1 }],
    });
    const paid = await this.control<Stripe.Checkout.Session>('POST', `/checkout/${id}`, {});
    return String(paid.subscription);
  }

  async useCard(subscriptionId: string, card: string): Promise<void> {
    const { customer, status } = await this.api.subscriptions.retrieve(subscriptionId);
    const method = await this.api.paymentMethods.attach(card, { customer: String(customer) });
    const invoice_settings = { default_payment_method: method.id };
    await this.api.customers.update(String(customer), { invoice_settings });
    if (status === 'canceled' || status === 'incomplete_expired') return;
    await this.api.subscriptions.update(subscriptionId, { default_payment_method: method.id });
  }

  async invoicesOf(
    subscription: string,
    status?: Stripe.InvoiceListParams.Status,
  ): Promise<Stripe.Invoice[]> {
    const { data } = await this.api.invoices.list({
      subscription,
      limit: 100,
      expand: ['data.payments'],
      ...(status && { status }),
    });
    return data;
  }

  /** Reads the present state of all subscriptions. Invoices are read of those where anything is unusual. */
  async readAll(): Promise<Facts[]> {
    const [subscriptions, open, writtenOff, disputes] = await Promise.all([
      all(this.api.subscriptions.list({ status: 'all', limit: 100 })),
      all(this.api.invoices.list({ status: 'open', limit: 100 })),
      all(this.api.invoices.list({ status: 'uncollectible', limit: 100 })),
      all(this.api.disputes.list({ limit: 100 })),
    ]);
    const disputed = await this.#byCustomer(disputes);
    const unusual = new Set([...open, ...writtenOff].map(subscriptionOf));
    const facts: Facts[] = [];
    for (const one of subscriptions) {
      const own = disputed.get(String(one.customer)) ?? [];
      const isUnusual = one.status !== 'active' || unusual.has(one.id) || own.length > 0;
      const invoices = isUnusual ? await this.invoicesOf(one.id) : [];
      const agentId = one.metadata.agentId ?? this.#agents.get(one.id) ?? '';
      facts.push({ ...toFacts(one, invoices, own), agentId });
    }
    return facts;
  }

  /** Disputes with the payments that they are about, by customer. */
  async #byCustomer(disputes: readonly Stripe.Dispute[]): Promise<Map<string, DisputeOfPayment[]>> {
    const found: (DisputeOfPayment & { customer: string })[] = [];
    for (const dispute of disputes) {
      const charge = await this.api.charges.retrieve(String(dispute.charge));
      const payments = [charge.id, String(charge.payment_intent)];
      found.push({ dispute, payments, customer: String(charge.customer) });
    }
    return Map.groupBy(found, ({ customer }) => customer);
  }
}

interface DisputeOfPayment {
  dispute: Stripe.Dispute;
  /** The charge and its payment intent. */
  payments: string[];
}

async function all<T>(list: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of list) found.push(one);
  return found;
}

export const subscriptionOf = (invoice: Stripe.Invoice) =>
  String(invoice.parent?.subscription_details?.subscription);

function toFacts(
  one: Stripe.Subscription,
  invoices: readonly Stripe.Invoice[],
  disputes: readonly DisputeOfPayment[],
): Omit<Facts, 'agentId'> {
  const periodEnd = Math.max(0, ...one.items.data.map((item) => item.current_period_end));
  const reason = one.cancellation_details?.reason ?? null;
  return {
    subscriptionId: one.id,
    status: one.status,
    cancelAt: ms(one.cancel_at ?? (one.cancel_at_period_end ? periodEnd : null)),
    canceledAt: ms(one.canceled_at),
    endedAt: ms(one.ended_at),
    endWasRequested: reason === 'cancellation_requested',
    trialEnd: ms(one.trial_end),
    periodEnd: periodEnd * 1000,
    invoices: invoices.map(toInvoice),
    disputes: toDisputes(disputes, invoices),
  };
}

function toInvoice(invoice: Stripe.Invoice): InvoiceFacts {
  const { finalized_at: finalizedAt } = invoice.status_transitions;
  return {
    status: invoice.status ?? 'unknown',
    createdAt: invoice.created * 1000,
    dueAt: (invoice.due_date ?? finalizedAt ?? invoice.created) * 1000,
    remaining: invoice.amount_remaining,
    attempted: invoice.attempted,
    reason: invoice.billing_reason,
  };
}

/** Those about this subscription's invoices. */
function toDisputes(
  disputes: readonly DisputeOfPayment[],
  invoices: readonly Stripe.Invoice[],
): DisputeFacts[] {
  const issued = invoices.filter(({ status }) => status !== 'draft' && status !== 'void');
  const periods = issued.filter(({ billing_reason: reason }) =>
    ['subscription_create', 'subscription_cycle'].includes(String(reason)),
  );
  const [current] = periods.toSorted((one, other) => other.created - one.created);
  return disputes.flatMap(({ dispute, payments }) => {
    const invoice = invoices.find((one) => paymentsOf(one).some((id) => payments.includes(id)));
    if (invoice === undefined) return [];
    const isOpen = !['won', 'lost', 'warning_closed', 'prevented'].includes(dispute.status);
    const isLost = dispute.status === 'lost';
    return [{ isOpen, isLost, openedAt: dispute.created * 1000, isCurrent: invoice === current }];
  });
}

const paymentsOf = ({ payments }: Stripe.Invoice): string[] =>
  (payments?.data ?? []).flatMap(({ payment }) =>
    [payment.payment_intent, payment.charge].flatMap((id) => (id ? [String(id)] : [])),
  );
