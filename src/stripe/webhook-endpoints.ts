import { createHash } from 'node:crypto';
import type { Secret } from '../secret.ts';
import { ACTED_ON } from './acted-on.ts';
import { askStripe, createStripe, STRIPE_API_VERSION, type StripeAccount } from './stripe.ts';

/** An endpoint at Stripe, as far as it matters here. */
export interface WebhookEndpoint {
  id: string;
  url: string;
  isEnabled: boolean;
  /** Types of events, or `*`. */
  events: string[];
  description: string | null;
  /** Of its signing secret, which Stripe shows only once; undefined if a person made it. */
  fingerprint: string | undefined;
}

const DESCRIPTION = 'agent-stacks: orders, and what follows payments';

/** Whether an endpoint was made by `createWebhookEndpoint`. */
export const isMadeByUs = ({ description, fingerprint }: WebhookEndpoint) =>
  fingerprint !== undefined || description === DESCRIPTION;

/** Where the fingerprint is kept: in the endpoint's metadata. */
const FINGERPRINT = 'agent_stacks_secret';
/** More endpoints than an account may have. */
const MOST = 100;

/** Names a signing secret without revealing it. */
export function fingerprintSecret(secret: Secret): string {
  return createHash('sha256').update(`agent-stacks webhook ${secret.reveal()}`).digest('hex').slice(0, 16);
}

/** Whether an address is an endpoint's, regardless of a trailing slash. */
export const isSameAddress = (one: string, other: string) => withoutSlash(one) === withoutSlash(other);

const withoutSlash = (url: string) => url.replace(/\/+$/, '');

/** Returns the address at which this service receives Stripe's events. */
export const webhookAddress = (publicUrl: string) => `${withoutSlash(publicUrl)}/api/webhooks/stripe`;

/** @throws PermanentError if the key may not list them */
export async function listWebhookEndpoints(account: StripeAccount): Promise<WebhookEndpoint[]> {
  const { data } = await askStripe(createStripe(account).webhookEndpoints.list({ limit: MOST }));
  return data.map(({ id, url, status, enabled_events: events, description, metadata }) => ({
    id,
    url,
    isEnabled: status === 'enabled',
    events,
    description,
    fingerprint: metadata?.[FINGERPRINT],
  }));
}

/** Lists the events that an endpoint lacks. */
export function findMissingEvents({ events }: Pick<WebhookEndpoint, 'events'>): string[] {
  return events.includes('*') ? [] : ACTED_ON.filter((type) => !events.includes(type));
}

/**
 * Makes an endpoint for exactly the events that are acted on, in the form of events that this code reads.
 * @returns its id and signing secret
 */
export async function createWebhookEndpoint(
  account: StripeAccount,
  url: string,
): Promise<{ id: string; secret: string }> {
  const stripe = createStripe(account);
  const made = await askStripe(
    stripe.webhookEndpoints.create({
      url,
      enabled_events: [...ACTED_ON],
      api_version: STRIPE_API_VERSION,
      description: DESCRIPTION,
    }),
  );
  return { id: made.id, secret: made.secret ?? '' };
}

/** Records which secret an endpoint has, so that another one can be told from it. */
export async function markWebhookEndpoint(account: StripeAccount, id: string, secret: Secret): Promise<void> {
  const metadata = { [FINGERPRINT]: fingerprintSecret(secret) };
  await askStripe(createStripe(account).webhookEndpoints.update(id, { metadata }));
}

/** Enables an endpoint, and adds the events that it lacks; it keeps what others want of it. */
export async function completeWebhookEndpoint(
  account: StripeAccount,
  endpoint: Pick<WebhookEndpoint, 'id' | 'events'>,
): Promise<void> {
  const enabled_events = [...endpoint.events, ...findMissingEvents(endpoint)] as (typeof ACTED_ON)[number][];
  await askStripe(
    createStripe(account).webhookEndpoints.update(endpoint.id, { enabled_events, disabled: false }),
  );
}

export async function deleteWebhookEndpoint(account: StripeAccount, id: string): Promise<void> {
  await askStripe(createStripe(account).webhookEndpoints.del(id));
}
