import { PermanentError } from '../../errors.ts';
import type { Secret } from '../../secret.ts';
import { ACTED_ON } from '../../stripe/acted-on.ts';
import { findUnreadable } from '../../stripe/readable.ts';
import type { StripeAccount } from '../../stripe/stripe.ts';
import { listUndeliveredEvents } from '../../stripe/undelivered-events.ts';
import {
  findMissingEvents,
  fingerprintSecret,
  isSameAddress,
  listWebhookEndpoints,
  type WebhookEndpoint,
  webhookAddress,
} from '../../stripe/webhook-endpoints.ts';
import { MisconfiguredError, nothing, type Probe } from './probe.ts';

const everything = () => true;

const KEY_CURE =
  'In Stripe’s console (Developers → API keys) give the restricted key “Read” for Subscriptions, Invoices, Charges, Disputes and Events, ' +
  'and start the service again.';

/** Whether the key may read what following payments needs. */
export function stripeAccessProbe(account: StripeAccount): Probe {
  return {
    name: 'stripe-access',
    blocks: nothing,
    cure: KEY_CURE,
    look: async () => {
      const unreadable = await findUnreadable(account);
      if (unreadable.length === 0) return 'the key may read what following payments needs';
      throw new MisconfiguredError(
        `STRIPE_SECRET_KEY may not read ${unreadable.join(', ')}: payments cannot be followed`,
        KEY_CURE,
      );
    },
  };
}

const ENDPOINT_CURE = 'npm run agents -- init --only webhook';
const SECRET_CURE =
  'Copy the signing secret of this endpoint (Developers → Webhooks → the endpoint → Signing secret) to STRIPE_WEBHOOK_SECRET and start ' +
  'the service again; or let a new one be made: npm run agents -- init --only webhook';

interface Webhook {
  account: StripeAccount;
  publicUrl: string;
  secrets: readonly Secret[];
}

/** Whether Stripe sends this service all events that it acts on, signed with a secret that it knows. */
export function webhookProbe({ account, publicUrl, secrets }: Webhook): Probe {
  const url = webhookAddress(publicUrl);
  return {
    name: 'webhook',
    blocks: everything,
    cure: ENDPOINT_CURE,
    look: async () => {
      const all = await listWebhookEndpoints(account).catch((error: unknown) => {
        if (error instanceof PermanentError) return undefined;
        throw error;
      });
      if (all === undefined)
        return 'the key may not list endpoints: compare the endpoint’s events with docs/live-mode.md';
      const ours = all.filter((endpoint) => isSameAddress(endpoint.url, url));
      if (ours.length === 0)
        throw new MisconfiguredError(`Stripe has no endpoint with the address ${url}`, ENDPOINT_CURE);
      const enabled = ours.filter(({ isEnabled }) => isEnabled);
      if (enabled.length === 0)
        throw new MisconfiguredError(`The endpoint ${ours[0]!.id} is disabled at Stripe`, ENDPOINT_CURE);
      refuseGaps(enabled);
      refuseOtherSecret(enabled, secrets);
      await refuseUndelivered(account);
      return `Stripe sends all ${ACTED_ON.length} events to ${url}`;
    },
  };
}

function refuseGaps(endpoints: readonly WebhookEndpoint[]): void {
  const missing = findMissingEvents({ events: endpoints.flatMap(({ events }) => events) });
  if (missing.length > 0)
    throw new MisconfiguredError(
      `The endpoint ${endpoints[0]!.id} lacks the event ${missing.join(', ')}`,
      ENDPOINT_CURE,
    );
}

/** Of an endpoint that a person made nothing tells its secret: then what could not be delivered does. */
function refuseOtherSecret(endpoints: readonly WebhookEndpoint[], secrets: readonly Secret[]): void {
  const known = secrets.map(fingerprintSecret);
  const isOther = ({ fingerprint }: WebhookEndpoint) =>
    fingerprint !== undefined && !known.includes(fingerprint);
  if (endpoints.every(isOther))
    throw new MisconfiguredError(
      `STRIPE_WEBHOOK_SECRET belongs to another endpoint than ${endpoints[0]!.id}: every event would be refused`,
      SECRET_CURE,
    );
}

/** Younger ones may still be on their way; older ones say nothing of how it is now. */
const RECENT = { fromMs: 10 * 60_000, toMs: 24 * 3_600_000 };

async function refuseUndelivered(account: StripeAccount): Promise<void> {
  const first = await listUndeliveredEvents(account).next();
  const events = first.done === true ? [] : first.value;
  const acted: readonly string[] = ACTED_ON;
  const late = events.filter(({ type, createdAt }) => {
    const age = Date.now() - createdAt.getTime();
    return acted.includes(type) && age > RECENT.fromMs && age < RECENT.toMs;
  });
  if (late.length > 0)
    throw new MisconfiguredError(
      `Stripe could not deliver ${late.length} events of the last day, such as ${late[0]!.id}`,
      `See why under Developers → Webhooks. If they were refused for their signature: ${SECRET_CURE}`,
    );
}
