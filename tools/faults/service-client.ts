import { createHmac, randomUUID } from 'node:crypto';
import type { Installation } from './installation.ts';

/** An order as Stripe reports it: a completed, paid checkout. */
export interface Order {
  sessionId: string;
  agentId: string;
  region: string;
  subscriptionId: string;
}

/** Talks to the service as Stripe and as the operator, and records which events were accepted. */
export class ServiceClient {
  readonly #installation: Installation;
  /** Events that were answered 200: they must be stored whatever happens. */
  readonly answeredEvents = new Set<string>();
  /** Bodies that were not answered 200; Stripe sends them again. */
  readonly #unanswered = new Map<string, string>();

  constructor(installation: Installation) {
    this.#installation = installation;
  }

  static newOrder(agentId: string, region: string): Order {
    return { agentId, region, sessionId: `cs_test_${agentId}`, subscriptionId: `sub_${agentId}` };
  }

  /**
   * Sends a signed event about the order. The same `eventId` repeats the event; another one is a second event
   * for the same session.
   */
  async deliver(
    order: Order,
    eventId = `evt_${randomUUID().replaceAll('-', '')}`,
  ): Promise<number | undefined> {
    const body = JSON.stringify(checkoutCompleted(order, eventId));
    return this.#send(eventId, body);
  }

  async #send(eventId: string, body: string): Promise<number | undefined> {
    const { stripeWebhookSecret } = this.#installation.file;
    const time = Math.floor(Date.now() / 1000);
    const signature = createHmac('sha256', stripeWebhookSecret).update(`${time}.${body}`).digest('hex');
    this.#unanswered.set(eventId, body);
    try {
      const response = await fetch(`${this.#installation.url}/api/webhooks/stripe`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'stripe-signature': `t=${time},v1=${signature}` },
        body,
        signal: AbortSignal.timeout(20_000),
      });
      await response.body?.cancel();
      if (response.ok) {
        this.answeredEvents.add(eventId);
        this.#unanswered.delete(eventId);
      }
      return response.status;
    } catch {
      return undefined;
    }
  }

  /** Sends unanswered events again, as Stripe does. @returns how many are still unanswered. */
  async redeliver(): Promise<number> {
    for (const [eventId, body] of this.#unanswered) await this.#send(eventId, body);
    return this.#unanswered.size;
  }

  /** Sends an operator's request. @returns the status and the body; status 0 without an answer. */
  async ask(
    method: 'GET' | 'POST',
    path: string,
    json?: Record<string, unknown>,
  ): Promise<{ status: number; body: Record<string, unknown> }> {
    try {
      const response = await fetch(`${this.#installation.url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${this.#installation.file.apiToken}`,
          ...(json !== undefined && { 'content-type': 'application/json' }),
        },
        ...(json !== undefined && { body: JSON.stringify(json) }),
        signal: AbortSignal.timeout(20_000),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    } catch {
      return { status: 0, body: {} };
    }
  }

  requestOperation(agentId: string, kind: 'destroy' | 'refresh' | 'hibernate') {
    return this.ask('POST', `/api/agents/${agentId}/${kind}`);
  }
}

function checkoutCompleted(order: Order, eventId: string) {
  return {
    id: eventId,
    object: 'event',
    api_version: '2026-04-22',
    type: 'checkout.session.completed',
    created: Math.floor(Date.now() / 1000),
    livemode: false,
    data: {
      object: {
        id: order.sessionId,
        object: 'checkout.session',
        payment_status: 'paid',
        subscription: order.subscriptionId,
        customer: `cus_${order.agentId}`,
        metadata: { agentId: order.agentId, userId: 'faults', region: order.region },
      },
    },
  };
}
