import { createHmac, randomUUID } from 'node:crypto';
import Stripe from 'stripe';
import type { Secret } from '../secret.ts';
import type { StripeEvent } from './event.ts';

/** The type of an event that only asks whether it arrives. Stripe has none of this name. */
const TYPE = 'agent_stacks.probe';

/** A signed event that a service recognises and does not act on. */
export interface ProbeEvent {
  body: string;
  signature: string;
  /** What only a service with the same secret can answer. */
  proof: string;
}

/** Makes an event as Stripe would sign it. */
export function createProbeEvent(secret: Secret): ProbeEvent {
  const id = `evt_probe_${randomUUID().replaceAll('-', '')}`;
  const created = Math.floor(Date.now() / 1000);
  const body = JSON.stringify({
    id,
    object: 'event',
    type: TYPE,
    created,
    livemode: false,
    data: { object: {} },
  });
  const signature = Stripe.webhooks.generateTestHeaderString({ payload: body, secret: secret.reveal() });
  return { body, signature, proof: prove(secret, id) };
}

/**
 * Answers a verified probe: one proof for each secret, because several are valid while one is rolled.
 * Undefined for any other event.
 */
export function answerProbe(
  { type, id }: Pick<StripeEvent, 'type' | 'id'>,
  secrets: readonly Secret[],
): string[] | undefined {
  return type === TYPE ? secrets.map((secret) => prove(secret, id)) : undefined;
}

const prove = (secret: Secret, id: string) =>
  createHmac('sha256', secret.reveal()).update(`agent-stacks probe ${id}`).digest('hex');
