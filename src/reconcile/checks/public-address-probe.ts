import { errorMessage, RetryableError } from '../../errors.ts';
import { exchange, type HttpAnswer } from '../../http-client/exchange.ts';
import type { Secret } from '../../secret.ts';
import { createProbeEvent } from '../../stripe/probe-event.ts';
import { webhookAddress } from '../../stripe/webhook-endpoints.ts';
import { MisconfiguredError, type Probe } from './probe.ts';

const TIMEOUT_SECONDS = 8;

/** Sends a signed event to PUBLIC_URL, as Stripe would, which the service recognises and does not act on. */
export function publicAddressProbe(publicUrl: string, secret: Secret): Probe {
  const url = webhookAddress(publicUrl);
  return {
    name: 'public-address',
    blocks: () => true,
    cure: '',
    look: async () => {
      const { body, signature, proof } = createProbeEvent(secret);
      const answer = await send(url, body, signature);
      if (answer.status === 200 && answer.text.includes(proof))
        return `a signed event arrives through ${publicUrl}`;
      if (answer.status === 400)
        throw new MisconfiguredError(
          `The service at ${publicUrl} refuses an event that is signed with STRIPE_WEBHOOK_SECRET`,
          'The service runs with another secret, or its proxy changes the body: start it again with this environment.',
        );
      throw new MisconfiguredError(
        `${url} answers ${answer.status}, and it is not this service that answers`,
        `Let the proxy pass ${publicUrl} on to this service (docs/live-mode.md), or set PUBLIC_URL: curl -i ${publicUrl}/healthz`,
      );
    },
  };
}

async function send(url: string, body: string, signature: string): Promise<HttpAnswer> {
  try {
    return await exchange({
      method: 'POST',
      url,
      body,
      headers: { 'content-type': 'application/json; charset=utf-8', 'stripe-signature': signature },
      timeoutSeconds: TIMEOUT_SECONDS,
      redirects: 0,
    });
  } catch (error) {
    if (!(error instanceof RetryableError)) throw error;
    throw new MisconfiguredError(
      `PUBLIC_URL cannot be reached: ${errorMessage(error)}`,
      `Start the service (npm start), and see that name, port, certificate and proxy are right: curl -i ${new URL(url).origin}/healthz`,
    );
  }
}
