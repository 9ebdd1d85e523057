import express, { type Request } from 'express';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TrustedProxies } from '../../../src/config/fields.ts';
import { readTailscaleLogin } from '../../../src/http/sign-in/tailscale.ts';
import { startService, type TestService } from '../../support/http-service.ts';
import { addPerson } from '../../support/people.ts';

const FROM_SERVE = { 'tailscale-user-login': 'ada@example.com', 'x-forwarded-for': '100.101.102.103' };

/** Whom a request names that came from this peer. */
function read(peer: string, headers: Record<string, string>, trustedProxies?: TrustedProxies) {
  const app = express();
  app.set('trust proxy', trustedProxies ?? false);
  const request = { socket: { remoteAddress: peer }, app, get: (name: string) => headers[name] };
  return readTailscaleLogin(request as unknown as Request, trustedProxies);
}

test.each(['127.0.0.1', '127.0.0.53', '::1', '::ffff:127.0.0.1'])('from %s it counts', (peer) => {
  expect(read(peer, FROM_SERVE)).toBe('ada@example.com');
  expect(read(peer, { ...FROM_SERVE, 'x-forwarded-for': 'fd7a:115c:a1e0::1' })).toBe('ada@example.com');
});

test.each(['192.0.2.7', '100.101.102.103', '::ffff:192.0.2.7', '10.0.0.9', ''])(
  'from %s it does not',
  (peer) => {
    expect(read(peer, FROM_SERVE)).toBeUndefined();
    // These name no proxy.
    for (const trusted of [true, 1, 'loopback', '10.1.0.0/16'])
      expect(read(peer, FROM_SERVE, trusted)).toBeUndefined();
  },
);

test('from a proxy that is named it counts', () => {
  expect(read('10.0.0.9', FROM_SERVE, '10.0.0.0/8')).toBe('ada@example.com');
});

test.each([
  ['a proxy for the internet on this machine', { 'x-forwarded-for': '203.0.113.5' }],
  [
    'the same, and a client that claims an address of the tailnet',
    { 'x-forwarded-for': '100.64.0.1, 203.0.113.5' },
  ],
  ['no proxy at all', { 'x-forwarded-for': '' }],
  ['the funnel', { 'tailscale-funnel-request': '?1' }],
  ['two logins', { 'tailscale-user-login': 'ada@example.com, root@example.com' }],
  ['an encoded login', { 'tailscale-user-login': '=?utf-8?q?ada?=' }],
])('%s is not believed', (_what, headers) => {
  expect(read('127.0.0.1', { ...FROM_SERVE, ...headers })).toBeUndefined();
});

let service: TestService;
beforeAll(async () => {
  service = await startService({ signIn: { oidc: undefined, tailscale: true } });
});
afterAll(() => service.stop());

const submit = (headers: Record<string, string>, url = service.url) =>
  fetch(`${url}/sign-in/tailscale`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'sec-fetch-site': 'same-origin', ...headers },
    body: new URLSearchParams({ next: '/agents' }),
  });

test('who is named and known gets a session by a button, and the headers alone open nothing', async () => {
  const page = async () => (await fetch(`${service.url}/sign-in`, { headers: FROM_SERVE })).text();
  expect(await page()).toContain('Nobody here has this login');
  expect((await submit(FROM_SERVE)).status).toBe(403);
  await addPerson(service, 'ada@example.com', 'support');
  expect(await page()).toContain('Continue as ada@example.com');
  expect((await fetch(`${service.url}/api/agents`, { headers: FROM_SERVE })).status).toBe(401);
  expect((await submit({ ...FROM_SERVE, 'sec-fetch-site': 'cross-site' })).status).toBe(403);
  const signedIn = await submit(FROM_SERVE);
  expect([signedIn.status, signedIn.headers.get('location')]).toEqual([303, '/agents']);
  const cookie = signedIn.headers.get('set-cookie')!.split(';')[0]!;
  const identity = await service.ask('/api/identity', { headers: { cookie } });
  expect(await identity.json()).toMatchObject({ name: 'ada@example.com', role: 'support' });
  const sessions = (await (await service.ask('/api/sessions')).json()) as { items: unknown[] };
  expect(sessions.items).toMatchObject([{ name: 'ada@example.com', method: 'tailscale' }]);
});

test('without the setting the headers mean nothing', async () => {
  const plain = await startService();
  try {
    expect(await (await fetch(`${plain.url}/sign-in`, { headers: FROM_SERVE })).text()).not.toContain('ada@');
    expect((await submit(FROM_SERVE, plain.url)).status).toBe(403);
  } finally {
    await plain.stop();
  }
});
