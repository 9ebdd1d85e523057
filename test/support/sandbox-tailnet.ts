import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { openSandboxDatabase, type SandboxDatabase } from '../../sandbox/database.ts';
import type { ControlServer } from '../../sandbox/tailscale/control-server.ts';
import { createTailscaleRouter } from '../../sandbox/tailscale/router.ts';
import { tailscaleSchema } from '../../sandbox/tailscale/schema.ts';
import { createSimulatedControl } from '../../sandbox/tailscale/simulated.ts';
import { createDatabase } from './postgres.ts';

export const tokens = {
  hcloudToken: 'h'.repeat(64),
  tailscaleApiKey: 'tskey-api-test',
  tailscaleOauthClientId: 'client-id',
  tailscaleOauthClientSecret: 'tskey-client-test',
  stripeSecretKey: 'sk_test_key',
  stripeWebhookSecret: 'whsec_test',
  githubToken: 'github_pat_test',
};

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests read the vendor's JSON field by field.
  body: any;
  headers: Headers;
}

/**
 * Starts the tailnet's API on its own database and port, with the control server that `open` creates
 * (simulated by default). `call` uses the API key.
 */
export async function setup(
  open = async (clouds: SandboxDatabase): Promise<ControlServer> => createSimulatedControl(clouds),
) {
  const database = await createDatabase('sandbox');
  const clouds = await openSandboxDatabase(database.url, [tailscaleSchema]);
  const control = await open(clouds);
  const app = express().use('/tailscale', createTailscaleRouter({ database: clouds, tokens, control }));
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/tailscale/api/v2`;
  const asUser = { Authorization: `Bearer ${tokens.tailscaleApiKey}` };

  async function call(
    method: string,
    path: string,
    body?: unknown,
    headers: object = asUser,
  ): Promise<Answer> {
    const form = body instanceof URLSearchParams || typeof body === 'string';
    const response = await fetch(url + path, {
      method,
      headers: { ...(body !== undefined && !form && { 'Content-Type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: form ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      body: text === '' ? undefined : JSON.parse(text),
      headers: response.headers,
    };
  }

  return {
    database: clouds,
    url: url.replace(/\/api\/v2$/, ''),
    call,
    async close() {
      server.close();
      server.closeAllConnections();
      await clouds.destroy();
      await database.drop();
    },
  };
}

export type Tailnet = Awaited<ReturnType<typeof setup>>;

/** Creates an auth key, single-use and tagged by default. Returns it with its secret. */
export async function makeKey(
  tailnet: Tailnet,
  create: object = { preauthorized: true, tags: ['tag:agent'] },
  rest: object = {},
) {
  const { body } = await tailnet.call('POST', '/tailnet/-/keys', {
    capabilities: { devices: { create } },
    ...rest,
  });
  return body as { id: string; key: string };
}
