import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { liveConnections } from '../../src/connections/connections.ts';
import { actsOnTestEvents, openConnections } from '../../src/connections/rehearsal.ts';
import { StoppedError } from '../../src/processes/waiting.ts';

const rehearsal = {
  MODE: 'rehearsal',
  DATABASE_URL: 'postgres://db.example/agents',
  API_TOKEN: 'operator-token-1234',
  PULUMI_CONFIG_PASSPHRASE: 'a passphrase',
  STRIPE_SECRET_KEY: 'sk_test_abcdefghijklmnopqrstuvwxyz',
  STRIPE_WEBHOOK_SECRET: 'whsec_rehearsal0000000000',
  HCLOUD_TOKEN: 'h'.repeat(64),
  HCLOUD_ENDPOINT: 'http://127.0.0.1:4000/hetzner/v1',
  TAILSCALE_API_KEY: 'tskey-api-x',
  TAILSCALE_BASE_URL: 'http://[::1]:4000/tailscale',
};
const read = (more: Record<string, string> = {}) => {
  const config = readConfig({ ...rehearsal, ...more });
  if (config.mode === 'sandbox') throw new Error('a sandbox');
  return config;
};

/** A server's address on loopback. */
async function answering(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('a rehearsal', () => {
  it('reads all that live mode does, and uses the builtin providers', () => {
    expect(read()).toMatchObject({ mode: 'rehearsal', providers: 'official' });
    expect(read({ PROVIDERS: 'builtin' }).providers).toBe('builtin');
    expect(() => read({ PULUMI_CONFIG_PASSPHRASE: '', API_TOKEN: '' })).toThrow(
      /API_TOKEN is missing[\s\S]*PULUMI_CONFIG_PASSPHRASE is missing/,
    );
  });

  it.each([
    ['HCLOUD_ENDPOINT', 'https://api.hetzner.cloud/v1'],
    ['HCLOUD_ENDPOINT', 'http://127.0.0.1.example.com/hetzner/v1'],
    ['TAILSCALE_BASE_URL', 'https://api.tailscale.com'],
    ['TAILSCALE_LOGIN_SERVER', 'https://controlplane.tailscale.com'],
    ['STRIPE_API_URL', 'https://api.stripe.com'],
    ['GITHUB_API_URL', 'https://api.github.com'],
    ['PULUMI_BACKEND_URL', 'postgres://db.example.com/state'],
    ['PULUMI_BACKEND_URL', 'postgres://127.0.0.1/state?host=db.example.com'],
    ['PULUMI_BACKEND_URL', 's3://bucket'],
  ])('refuses %s=%s', (name, url) => {
    expect(() => read({ [name]: url })).toThrow(new RegExp(`^  - ${name} must be on loopback`, 'm'));
  });

  it.each([
    'postgres://localhost:5432/state',
    'postgres://me:pw@[::1]/state',
    'postgres:///state?host=/var/run/postgresql',
    'file:///var/state',
  ])('keeps its state at %s', (url) => {
    expect(read({ PULUMI_BACKEND_URL: url }).pulumi.backendUrl?.reveal()).toBe(url);
  });

  it.each(['HCLOUD_ENDPOINT', 'TAILSCALE_BASE_URL'])(
    'refuses to start without %s, whose default is the real one',
    (name) => {
      expect(() => read({ [name]: '' })).toThrow(new RegExp(`^  - ${name} is missing`, 'm'));
    },
  );

  it('refuses runners’ identities under GitHub’s own keys, which need the internet', () => {
    expect(() => read({ GITHUB_OIDC_AUDIENCE: 'agents' })).toThrow(/^ {2}- GITHUB_OIDC_ISSUER is missing/m);
    const issuer = 'http://127.0.0.1:4000/github/oidc';
    expect(read({ GITHUB_OIDC_AUDIENCE: 'agents', GITHUB_OIDC_ISSUER: issuer })).toMatchObject({
      accounts: { github: { oidc: { issuer } } },
    });
  });

  it('joins no tailnet outside this machine if its endpoints are not a sandbox', async () => {
    const root = await answering((_request, response) => response.writeHead(404).end('nothing here'));
    const endpoints = { HCLOUD_ENDPOINT: `${root}/hetzner/v1`, TAILSCALE_BASE_URL: `${root}/tailscale` };
    const loginServer = async (more: Record<string, string> = {}) =>
      (await openConnections(read({ ...endpoints, ...more }))).tailscale.loginServer;
    expect(await loginServer()).toBe(`${root}/tailscale`);
    expect(await loginServer({ TAILSCALE_LOGIN_SERVER: 'http://10.0.0.1:80' })).toBe('http://10.0.0.1:80');
  });

  it('waits for its sandbox, and fails at once if it may not wait', async () => {
    let looks = 0;
    const root = await answering((request, response) => {
      looks += 1;
      if (looks < 3) request.socket.destroy();
      else response.end(JSON.stringify({ machines: 'simulated' }));
    });
    const config = read({
      HCLOUD_ENDPOINT: `${root}/hetzner/v1`,
      TAILSCALE_BASE_URL: `${root}/tailscale`,
    });
    await expect(openConnections(config)).rejects.toThrow(
      /no answer.*start the sandbox, or set HCLOUD_ENDPOINT/,
    );
    const connections = await openConnections(config, { say: () => {} });
    expect(connections).toMatchObject({ machines: 'simulated', stripe: { apiUrl: root } });
    expect(looks).toBe(3);
  });

  it('stops waiting when told to stop', async () => {
    const root = await answering((request) => request.socket.destroy());
    const config = read({ HCLOUD_ENDPOINT: `${root}/hetzner/v1` });
    const stopping = new AbortController();
    stopping.abort();
    await expect(openConnections(config, { say: () => {}, signal: stopping.signal })).rejects.toThrow(
      StoppedError,
    );
  });

  it('acts on Stripe’s test events with a test key; live mode never does', () => {
    expect(actsOnTestEvents(read())).toBe(true);
    expect(actsOnTestEvents(read({ STRIPE_SECRET_KEY: 'sk_live_abcdefgh' }))).toBe(false);
    expect(actsOnTestEvents(read({ MODE: 'live' }))).toBe(false);
  });
});

test('trailing slashes of an endpoint change neither its paths nor the account', () => {
  const slashes = {
    HCLOUD_ENDPOINT: `${rehearsal.HCLOUD_ENDPOINT}//`,
    TAILSCALE_BASE_URL: `${rehearsal.TAILSCALE_BASE_URL}/`,
    TAILSCALE_LOGIN_SERVER: 'http://127.0.0.1:4000/',
  };
  const connections = liveConnections(read(slashes));
  expect(connections.hcloud.endpoint).toBe(rehearsal.HCLOUD_ENDPOINT);
  expect(connections.tailscale).toMatchObject({
    baseUrl: rehearsal.TAILSCALE_BASE_URL,
    loginServer: 'http://127.0.0.1:4000',
  });
  expect(connections.accounts).toEqual(liveConnections(read()).accounts);
});

test('a restricted key has the same stamp as its account, and a different one from another account', () => {
  const toStripeStamp = (key: string) => liveConnections(read({ STRIPE_SECRET_KEY: key })).accounts.stripe;
  expect(toStripeStamp('rk_live_51HexampleAccountONE')).toBe(toStripeStamp('sk_live_51HexampleAccountTWO'));
  expect(toStripeStamp('rk_live_51HexampleAccountONE')).not.toBe(
    toStripeStamp('rk_live_51AnotherAccountHere'),
  );
});
