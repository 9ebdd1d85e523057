import { createHmac, randomUUID } from 'node:crypto';
import { WEBHOOK_SECRET } from './http-service.ts';

export interface SignOptions {
  secret?: string;
  /** How long ago it was signed. */
  ageSeconds?: number;
}

/**
 * Computes a `Stripe-Signature` header from Stripe's documentation, without code of the service or its
 * library.
 */
export function sign(
  body: string | Buffer,
  { secret = WEBHOOK_SECRET, ageSeconds = 0 }: SignOptions = {},
): string {
  const time = Math.floor(Date.now() / 1000) - ageSeconds;
  const signature = createHmac('sha256', secret).update(`${time}.`).update(body).digest('hex');
  return `t=${time},v1=${signature}`;
}

export interface CheckoutEvent {
  id: string;
  object: string;
  type: string;
  created: number;
  livemode: boolean;
  data: { object: Record<string, unknown> };
  [key: string]: unknown;
}

let count = 0;

/** A paid checkout with fresh ids; arguments override the session's own fields. */
export function paidCheckout(
  metadata: unknown = {},
  { session = {}, ...event }: Partial<CheckoutEvent> & { session?: Record<string, unknown> } = {},
): CheckoutEvent {
  count += 1;
  const unique = randomUUID().slice(0, 8);
  return {
    id: `evt_${unique}`,
    object: 'event',
    api_version: '2026-04-22',
    type: 'checkout.session.completed',
    created: Math.floor(Date.now() / 1000),
    livemode: false,
    data: {
      object: {
        id: `cs_test_${unique}`,
        object: 'checkout.session',
        payment_status: 'paid',
        subscription: `sub_${unique}`,
        customer: `cus_${unique}`,
        metadata:
          typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata)
            ? { agentId: `agent-${count}-${unique}`, userId: 'user-1', region: 'eu-central', ...metadata }
            : metadata,
        ...session,
      },
    },
    ...event,
  };
}

/** Delivers as Stripe does; a null `signature` omits the header. */
export async function deliver(
  url: string,
  event: unknown,
  options: SignOptions & { signature?: string | null } = {},
): Promise<{ status: number; body: unknown; headers: Headers }> {
  const body = typeof event === 'string' ? event : JSON.stringify(event);
  const signature = options.signature === undefined ? sign(body, options) : options.signature;
  const response = await fetch(`${url}/api/webhooks/stripe`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json; charset=utf-8',
      ...(signature === null ? {} : { 'stripe-signature': signature }),
    },
    body,
  });
  return { status: response.status, body: await response.json(), headers: response.headers };
}
