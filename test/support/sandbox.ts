import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import Stripe from 'stripe';
import type { SandboxSettings } from '../../sandbox/settings.ts';
import { type RunningSandbox, sandboxOptionsSchema, startSandbox } from '../../sandbox/start.ts';
import { createDatabase } from './postgres.ts';

export const tokens = {
  hcloudToken: 'h'.repeat(64),
  tailscaleApiKey: 'tskey-api-test',
  tailscaleOauthClientId: 'client-id',
  tailscaleOauthClientSecret: 'tskey-client-test',
  stripeSecretKey: 'sk_test_sandbox',
  stripeWebhookSecret: 'whsec_dGhlIHdob2xlIHRleHQgaXMgdGhlIHNlY3JldA',
  githubToken: 'github_pat_test',
};

export interface Received {
  event: Stripe.Event;
  signature: string;
}

/**
 * Starts a webhook that checks signatures with the official package. It answers the next of `answers`, or
 * 200. `secret`: default the sandbox's own.
 */
export async function startReceiver(secret = () => tokens.stripeWebhookSecret) {
  const received: Received[] = [];
  const answers: (number | 'hang')[] = [];
  let atOnce = 0;
  const state = { mostAtOnce: 0 };
  const server = createServer(async (request, response) => {
    atOnce++;
    state.mostAtOnce = Math.max(state.mostAtOnce, atOnce);
    response.once('close', () => atOnce--);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const signature = String(request.headers['stripe-signature']);
    const event = Stripe.webhooks.constructEvent(Buffer.concat(chunks), signature, secret());
    received.push({ event, signature });
    const answer = answers.shift() ?? 200;
    if (answer !== 'hang') response.writeHead(answer).end('{"received":true}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/webhooks/stripe`,
    received,
    answers,
    state,
    types: () => received.map(({ event }) => event.type).sort(),
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Creates an official Stripe client for a sandbox. */
export function createClient(
  url: string,
  options: { key?: string; maxNetworkRetries?: number } = {},
): Stripe {
  const { hostname, port } = new URL(url);
  const { key = tokens.stripeSecretKey, maxNetworkRetries = 0 } = options;
  return new Stripe(key, { host: hostname, port, protocol: 'http', maxNetworkRetries, telemetry: false });
}

/**
 * Starts a sandbox in this process, with a receiver and an official client. `restart` keeps database and
 * receiver. `others`: credentials in place of the usual ones.
 */
export async function setup(
  settings: Partial<SandboxSettings> = { webhookRetryMs: 20 },
  others: Partial<typeof tokens> = {},
) {
  const database = await createDatabase('sandbox');
  const receiver = await startReceiver();
  const options = (webhookUrl = receiver.url) =>
    sandboxOptionsSchema.parse({
      ...{ databaseUrl: database.url, port: 0, webhookUrl, settings },
      tokens: { ...tokens, ...others },
    });
  let running: RunningSandbox | undefined = await startSandbox(options());
  const sandbox = {
    url: running.url,
    stripe: createClient(running.url),
    receiver,
    databaseUrl: database.url,
    async stop() {
      await running?.stop();
      running = undefined;
    },
    async restart(webhookUrl?: string) {
      await sandbox.stop();
      running = await startSandbox(options(webhookUrl));
      sandbox.url = running.url;
      sandbox.stripe = createClient(running.url);
    },
    async close() {
      await sandbox.stop();
      receiver.close();
      await database.drop();
    },
  };
  return sandbox;
}

export type SandboxFixture = Awaited<ReturnType<typeof setup>>;

export const orderMetadata = { agentId: 'agent-1', userId: 'user-1', region: 'eu-central' };

export const subscriptionSession: Stripe.Checkout.SessionCreateParams = {
  mode: 'subscription',
  success_url: 'http://127.0.0.1:1/thanks?session={CHECKOUT_SESSION_ID}',
  metadata: orderMetadata,
  subscription_data: { metadata: orderMetadata },
  line_items: [
    {
      quantity: 2,
      price_data: {
        currency: 'eur',
        unit_amount: 1250,
        product_data: { name: 'Agent' },
        recurring: { interval: 'month' },
      },
    },
  ],
};

/** Orders and pays. Returns the completed session. */
export async function buy(
  sandbox: SandboxFixture,
  session = subscriptionSession,
): Promise<Stripe.Checkout.Session> {
  const { id } = await sandbox.stripe.checkout.sessions.create(session);
  return payFor(sandbox, id);
}

export async function payFor(sandbox: SandboxFixture, sessionId: string): Promise<Stripe.Checkout.Session> {
  const response = await fetch(`${sandbox.url}/checkout/${sessionId}`, {
    method: 'POST',
    headers: { Accept: 'application/json' },
  });
  return (await response.json()) as Stripe.Checkout.Session;
}

/** Waits until `condition` holds, for ten seconds at most. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Still false: ${condition}`);
    await pause(10);
  }
}
