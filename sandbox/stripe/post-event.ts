import { createHmac } from 'node:crypto';
import type { Target } from './webhook-endpoints.ts';
import type { Event } from './wire.ts';

const TIMEOUT_MS = 10_000;

/** What became of one try at one endpoint. */
export interface Outcome {
  endpoint: string;
  url: string;
  status: number | null;
  error: string | null;
}

/** Returns Stripe's signature header `t=…,v1=…`: HMAC-SHA256 with the whole secret over time and body. */
function toSignatureHeader(secret: string, body: string, timestampSeconds: number): string {
  const signature = createHmac('sha256', secret).update(`${timestampSeconds}.${body}`).digest('hex');
  return `t=${timestampSeconds},v1=${signature}`;
}

/** Sends an event to one endpoint. `signal` ends the try, as a stop of the sandbox does. */
export async function postEvent(
  event: Event,
  { endpoint, url, secret }: Target,
  signal: AbortSignal,
): Promise<Outcome> {
  const body = JSON.stringify({ ...event, pending_webhooks: 1 }, undefined, 2);
  // Signs each try with the real time, whatever the sandbox's clock says: receivers refuse signatures older
  // than five minutes.
  const signature = toSignatureHeader(secret, body, Math.floor(Date.now() / 1000));
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json; charset=utf-8',
        'Stripe-Signature': signature,
        'User-Agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
      },
      body,
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    await response.body?.cancel();
    const error = response.ok ? null : `The webhook answered ${response.status}`;
    return { endpoint, url, status: response.status, error };
  } catch (error) {
    return { endpoint, url, status: null, error: describe(error) };
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `No answer within ${TIMEOUT_MS / 1000} s`;
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
