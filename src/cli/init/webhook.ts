import { webhookSecrets } from '../../config/fields.ts';
import { PermanentError } from '../../errors.ts';
import { Secret } from '../../secret.ts';
import { ACTED_ON } from '../../stripe/acted-on.ts';
import {
  completeWebhookEndpoint,
  createWebhookEndpoint,
  deleteWebhookEndpoint,
  findMissingEvents,
  fingerprintSecret,
  isMadeByUs,
  isSameAddress,
  listWebhookEndpoints,
  markWebhookEndpoint,
  type WebhookEndpoint,
  webhookAddress,
} from '../../stripe/webhook-endpoints.ts';
import type { Asker } from './asker.ts';
import type { Answers } from './question.ts';
import { toStripeAccount } from './questions.ts';

/** Keeps an answer where a crash does not lose it: Stripe shows a signing secret once. */
export type Keep = (variable: string, value: string) => void;

/**
 * Finds this service's endpoint at Stripe, or makes it, and learns its signing secret. A kill after the
 * endpoint was made and before its secret was kept leaves one whose secret nobody knows: the next run
 * recognises it as made here, makes another and removes it.
 */
export async function ensureWebhook(asker: Asker, answers: Answers, keep: Keep): Promise<void> {
  const account = toStripeAccount(answers);
  const url = webhookAddress(answers.PUBLIC_URL ?? '');
  const found = await ask(listWebhookEndpoints(account));
  if (found === undefined) return askForSecret(asker, answers, keep, byHand(url));
  const ours = found.filter((endpoint) => isSameAddress(endpoint.url, url));
  const known = ours.find((endpoint) => isKnown(endpoint, answers));
  if (known !== undefined) return complete(asker, account, known);
  const foreign = ours.find((endpoint) => !isMadeByUs(endpoint));
  if (foreign !== undefined && !(await mayReplace(asker, foreign, answers)))
    return askForSecret(asker, answers, keep, `Stripe has the endpoint ${foreign.id} for ${url}.`);
  if (
    !(await asker.confirm(`Make the endpoint ${url} at Stripe, for exactly ${ACTED_ON.length} events?`, true))
  )
    return askForSecret(asker, answers, keep, byHand(url));
  const made = await ask(createWebhookEndpoint(account, url));
  if (made === undefined) return askForSecret(asker, answers, keep, byHand(url));
  keep('STRIPE_WEBHOOK_SECRET', made.secret);
  await markWebhookEndpoint(account, made.id, new Secret(made.secret));
  asker.say(`  Stripe sends events to ${url} (${made.id}).`);
  for (const { id } of ours) {
    await deleteWebhookEndpoint(account, id);
    asker.say(`  The endpoint ${id}, whose secret is not known, was removed.`);
  }
}

/** Undefined where the key may not do it: then a person does. */
async function ask<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof PermanentError) return undefined;
    throw error;
  }
}

function isKnown({ fingerprint }: WebhookEndpoint, { STRIPE_WEBHOOK_SECRET: known }: Answers): boolean {
  if (known === undefined || fingerprint === undefined) return false;
  return known.split(',').some((secret) => fingerprintSecret(new Secret(secret.trim())) === fingerprint);
}

async function complete(
  asker: Asker,
  account: ReturnType<typeof toStripeAccount>,
  endpoint: WebhookEndpoint,
): Promise<void> {
  const missing = findMissingEvents(endpoint);
  if (missing.length === 0 && endpoint.isEnabled) {
    asker.say(`  Stripe sends all events to ${endpoint.url} already (${endpoint.id}).`);
    return;
  }
  const what = missing.length > 0 ? `add ${missing.join(', ')} to` : 'enable';
  if (!(await asker.confirm(`The endpoint ${endpoint.id} is not complete: ${what} it?`, true))) return;
  await completeWebhookEndpoint(account, endpoint);
  asker.say(`  The endpoint ${endpoint.id} is complete now.`);
}

/** A person made it: its secret may be in use elsewhere. */
async function mayReplace(asker: Asker, { id, url }: WebhookEndpoint, answers: Answers): Promise<boolean> {
  if (answers.STRIPE_WEBHOOK_SECRET !== undefined) return false;
  asker.say(`  Stripe has an endpoint for ${url} already, ${id}, which was made by hand.`);
  return asker.confirm('Replace it by a new one? Otherwise its signing secret is asked for', false);
}

const byHand = (
  url: string,
) => `Make the endpoint by hand: Stripe’s console → Developers → Webhooks → Add endpoint
    ${url}
    with exactly these events: ${ACTED_ON.join(', ')}`;

async function askForSecret(asker: Asker, answers: Answers, keep: Keep, where: string): Promise<void> {
  asker.say(`  ${where}`);
  const secret = await asker.ask('The endpoint’s signing secret (whsec_…)', {
    isSecret: true,
    initial: answers.STRIPE_WEBHOOK_SECRET,
    check: async (text) => {
      const parsed = webhookSecrets.safeParse(text);
      return parsed.success ? undefined : `STRIPE_WEBHOOK_SECRET ${parsed.error.issues[0]?.message}`;
    },
  });
  keep('STRIPE_WEBHOOK_SECRET', secret);
}
