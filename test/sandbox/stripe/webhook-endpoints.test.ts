import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  buy,
  createClient,
  type SandboxFixture,
  setup,
  startReceiver,
  until,
} from '../../support/sandbox.ts';

let sandbox: SandboxFixture;
beforeAll(async () => {
  sandbox = await setup({ webhookRetryMs: 20, ownWebhook: false });
});
afterAll(() => sandbox.close());

test('an endpoint gets the events it asks for, signed with its own secret, and nothing else does', async () => {
  let secret = '';
  const receiver = await startReceiver(() => secret);
  const { stripe } = sandbox;
  const made = await stripe.webhookEndpoints.create({
    url: receiver.url,
    enabled_events: ['checkout.session.completed'],
    description: 'agents',
    metadata: { made_by: 'test' },
  });
  expect(made.secret).toMatch(/^whsec_/);
  secret = made.secret!;
  const [listed] = (await stripe.webhookEndpoints.list()).data;
  expect(listed).toMatchObject({ id: made.id, status: 'enabled', metadata: { made_by: 'test' } });
  expect(listed).not.toHaveProperty('secret');

  receiver.answers.push(500);
  await buy(sandbox);
  await until(() => receiver.received.length === 2);
  expect(new Set(receiver.types())).toEqual(new Set(['checkout.session.completed']));
  // What no endpoint asks for is not on its way.
  await until(async () => (await stripe.events.list({ delivery_success: false })).data.length === 0);
  expect(sandbox.receiver.received).toEqual([]);

  await stripe.webhookEndpoints.update(made.id, { disabled: true, enabled_events: ['*'] });
  await buy(sandbox);
  await until(async () => (await stripe.events.list({ delivery_success: false })).data.length === 0);
  expect(receiver.received).toHaveLength(2);
  expect(await stripe.webhookEndpoints.del(made.id)).toMatchObject({ deleted: true });
  expect((await stripe.webhookEndpoints.list()).data).toEqual([]);
  receiver.close();
});

async function issue(grant: object): Promise<Record<string, string>> {
  const response = await fetch(`${sandbox.url}/sandbox/credentials`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(grant),
  });
  expect(response.status).toBe(201);
  return (await response.json()) as Record<string, string>;
}

test('a restricted key may do what it was not denied', async () => {
  const { key } = await issue({ vendor: 'stripe', denied: ['invoices'], readOnly: ['webhook_endpoints'] });
  const stripe = createClient(sandbox.url, { key: key! });
  expect((await stripe.subscriptions.list()).object).toBe('list');
  await expect(stripe.invoices.list()).rejects.toMatchObject({ statusCode: 403 });
  expect((await stripe.webhookEndpoints.list()).data).toEqual([]);
  await expect(
    stripe.webhookEndpoints.create({ url: sandbox.receiver.url, enabled_events: ['*'] }),
  ).rejects.toMatchObject({ statusCode: 403 });
  expect((await stripe.accounts.retrieveCurrent()).id).toBe(
    (await sandbox.stripe.accounts.retrieveCurrent()).id,
  );
});

test('a read-only token of Hetzner’s changes nothing', async () => {
  const { token } = await issue({ vendor: 'hetzner', permission: 'read' });
  const call = async (method: string, path: string) => {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`${sandbox.url}/hetzner/v1${path}`, { method, headers });
    return [response.status, ((await response.json()) as { error?: { code: string } }).error?.code];
  };
  expect(await call('GET', '/servers')).toEqual([200, undefined]);
  expect(await call('PUT', '/firewalls/0')).toEqual([403, 'token_readonly']);
});

test('an OAuth client of Tailscale’s does what its scopes and tags allow', async () => {
  const { clientId, clientSecret } = await issue({
    vendor: 'tailscale',
    scopes: ['auth_keys', 'devices:core:read'],
    tags: ['tag:other'],
  });
  const base = `${sandbox.url}/tailscale/api/v2`;
  const body = new URLSearchParams({ client_id: clientId!, client_secret: clientSecret! });
  const token = (await (await fetch(`${base}/oauth/token`, { method: 'POST', body })).json()) as {
    access_token: string;
    scope: string;
  };
  expect(token.scope).toBe('auth_keys devices:core:read');
  const status = async (method: string, path: string, json?: object) => {
    const headers = { authorization: `Bearer ${token.access_token}`, 'content-type': 'application/json' };
    return (await fetch(`${base}${path}`, { method, headers, body: json ? JSON.stringify(json) : null }))
      .status;
  };
  expect(await status('GET', '/tailnet/-/devices')).toBe(200);
  expect(await status('DELETE', '/device/1')).toBe(403);
  expect(await status('GET', '/tailnet/-/acl')).toBe(403);
  const create = { reusable: false, ephemeral: false, preauthorized: true, tags: ['tag:agent'] };
  expect(await status('POST', '/tailnet/-/keys', { capabilities: { devices: { create } } })).toBe(400);
});
