import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Secret } from '../../src/secret.ts';
import type { StripeAccount } from '../../src/stripe/stripe.ts';

type Fields = Record<string, unknown>;

const seconds = (date: Date) => Math.floor(date.getTime() / 1000);

/** Stripe's API as far as reading payments needs it: a test writes the present state, the server tells it. */
export class ScriptedStripe {
  readonly subscriptions = new Map<string, Fields>();
  readonly invoices: Fields[] = [];
  readonly charges: Fields[] = [];
  readonly disputes: Fields[] = [];
  /** Events that could not be delivered. */
  readonly undelivered: Fields[] = [];
  /** Every call, as `METHOD path?query`. */
  readonly calls: string[] = [];
  /** Answers every call with this status instead. */
  failsWith: number | undefined;
  /** Called before an answer, e.g. to change the state while a call is under way. */
  beforeAnswer: ((call: string) => void | Promise<void>) | undefined;
  account!: StripeAccount;
  stop!: () => Promise<void>;

  static async start(): Promise<ScriptedStripe> {
    const stripe = new ScriptedStripe();
    const server = createServer((request, response) => {
      request.resume();
      void stripe.#answer(request.method ?? 'GET', request.url ?? '/', response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    stripe.account = { secretKey: new Secret('sk_test_scripted'), apiUrl, timeoutSeconds: 5 };
    stripe.stop = async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    };
    return stripe;
  }

  clear(): void {
    this.subscriptions.clear();
    for (const list of [this.invoices, this.charges, this.disputes, this.undelivered]) list.length = 0;
    this.calls.length = 0;
    this.failsWith = undefined;
    this.beforeAnswer = undefined;
  }

  /** Sets or changes a subscription. */
  subscribe(id: string, fields: Fields = {}): void {
    const before = this.subscriptions.get(id) ?? {
      id,
      object: 'subscription',
      customer: `cus_${id}`,
      status: 'active',
      items: {
        object: 'list',
        data: [{ id: 'si_1', price: { id: 'price_starter', product: 'prod_1' }, quantity: 1 }],
        has_more: false,
      },
      metadata: {},
      livemode: false,
      cancel_at: null,
      canceled_at: null,
      ended_at: null,
      cancellation_details: { reason: null },
    };
    this.subscriptions.set(id, { ...before, ...fields });
  }

  /** Ends a subscription as its owner wished. */
  cancel(id: string, at: Date): void {
    this.subscribe(id, {
      status: 'canceled',
      canceled_at: seconds(at),
      ended_at: seconds(at),
      cancellation_details: { reason: 'cancellation_requested' },
    });
  }

  /** Adds an open invoice that fell due at `dueAt`. */
  owe(subscription: string, invoice: string, dueAt: Date, fields: Fields = {}): void {
    this.invoices.unshift({
      id: invoice,
      object: 'invoice',
      subscription,
      customer: this.subscriptions.get(subscription)?.customer,
      status: 'open',
      created: seconds(dueAt),
      due_date: seconds(dueAt),
      status_transitions: { finalized_at: seconds(dueAt) },
      amount_due: 2900,
      amount_remaining: 2900,
      billing_reason: 'subscription_cycle',
      period_end: null,
      lines: { object: 'list', data: [], has_more: false },
      payments: { object: 'list', data: [], has_more: false },
      ...fields,
    });
  }

  /** Pays, voids or otherwise changes an invoice. */
  settle(invoice: string, fields: Fields = { status: 'paid', amount_remaining: 0 }): void {
    Object.assign(this.invoices.find(({ id }) => id === invoice) ?? {}, fields);
  }

  async #answer(method: string, url: string, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(url, 'http://stripe');
    this.calls.push(`${method} ${url}`);
    await this.beforeAnswer?.(`${method} ${pathname}`);
    if (this.failsWith !== undefined)
      return send(response, this.failsWith, { error: { message: 'scripted', type: 'api_error' } });
    const [, , kind, id] = pathname.split('/');
    const found = this.#find(method, { kind, id, query: searchParams });
    if (found === undefined)
      return send(response, 404, {
        error: { message: `No such ${kind}`, code: 'resource_missing', type: 'invalid_request_error' },
      });
    send(response, 200, found);
  }

  #find(
    method: string,
    { kind, id, query }: { kind: string | undefined; id: string | undefined; query: URLSearchParams },
  ): Fields | undefined {
    if (kind === 'subscriptions' && id !== undefined) {
      if (method === 'DELETE' && this.subscriptions.has(id)) this.cancel(id, new Date());
      return this.subscriptions.get(id);
    }
    if (kind === 'charges' && id !== undefined) return this.charges.find((charge) => charge.id === id);
    const of = (list: Iterable<Fields>, field: string) =>
      listOf([...list].filter((one) => one[field] === query.get(field)));
    if (kind === 'subscriptions') return listOf([...this.subscriptions.values()]);
    if (kind === 'invoices') return this.#listInvoices(query);
    if (kind === 'charges') {
      const { data } = of(this.charges, 'customer');
      const limit = Number(query.get('limit') ?? 10);
      return listOf(data.slice(0, limit), data.length > limit);
    }
    if (kind === 'disputes')
      return of(this.disputes, query.has('payment_intent') ? 'payment_intent' : 'charge');
    return kind === 'events' ? listOf(this.undelivered) : undefined;
  }

  /** A page of a subscription's invoices, newest first as at Stripe. */
  #listInvoices(query: URLSearchParams): Fields {
    const status = query.get('status');
    const found = this.invoices
      .filter((one) => one.subscription === query.get('subscription'))
      .filter((one) => status === null || one.status === status)
      .sort((one, other) => Number(other.created ?? 0) - Number(one.created ?? 0));
    const begin = found.findIndex(({ id }) => id === query.get('starting_after')) + 1;
    const end = begin + Number(query.get('limit') ?? 10);
    return listOf(found.slice(begin, end), found.length > end);
  }
}

const listOf = (data: Fields[], more = false) => ({ object: 'list', data, has_more: more, url: '/v1/list' });

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
