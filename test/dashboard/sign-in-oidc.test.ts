import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApp, type HttpDeps } from '../../src/app/api.ts';
import type { OidcConfig } from '../../src/config/sign-in.ts';
import type { Role } from '../../src/database/vocabulary.ts';
import { Secret } from '../../src/secret.ts';
import { startService, type TestService } from '../support/http-service.ts';
import {
  CookieJar,
  type OpenIdProvider,
  passProvider,
  startOpenIdProvider,
} from '../support/openid-provider.ts';

/** Sign-in by a real OpenID provider. The service’s own address stands in its redirects. */
const PUBLIC_URL = 'http://127.0.0.1:8080';
const CALLBACK = `${PUBLIC_URL}/sign-in/callback`;
let provider: OpenIdProvider;
let service: TestService;
/** The same service, where admins say the roles. */
let byAdmins: { url: string; close(): void };

beforeAll(async () => {
  const client = { id: 'agents', secret: 'a-secret-of-the-client', redirectUri: CALLBACK };
  provider = await startOpenIdProvider(client);
  const oidc: OidcConfig = {
    issuer: provider.issuer,
    clientId: client.id,
    clientSecret: new Secret(client.secret),
    scopes: 'openid email profile',
    loginClaim: 'email',
    roleClaim: 'groups',
    roles: new Map<string, Role>([
      ['everybody', 'viewer'],
      ['on-call', 'support'],
      ['platform', 'admin'],
    ]),
  };
  service = await startService({ publicUrl: PUBLIC_URL, signIn: { oidc, tailscale: false } });
  byAdmins = await listen({
    ...service.deps,
    signIn: { oidc: { ...oidc, roleClaim: undefined }, tailscale: false },
  });
});
afterAll(async () => {
  byAdmins?.close();
  await service?.stop();
  await provider?.stop();
});

async function listen(deps: HttpDeps) {
  const server = createApp(deps).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() };
}

/** Begins in a browser and comes back from the provider. @returns the browser and the callback's address */
async function begin(account: string, { at = service.url, next = '/agents' } = {}) {
  const browser = new CookieJar();
  const begun = await browser.fetch(`${at}/sign-in/oidc?next=${encodeURIComponent(next)}`);
  expect(begun.status).toBe(303);
  const callback = await passProvider(begun.headers.get('location')!, account, CALLBACK);
  return {
    browser,
    callback: callback.replace(PUBLIC_URL, at),
    authorization: new URL(begun.headers.get('location')!),
  };
}

async function signIn(account: string, options: Parameters<typeof begin>[1] = {}) {
  const { browser, callback } = await begin(account, options);
  const response = await browser.fetch(callback);
  return { browser, response, page: await response.text() };
}

const identityOf = async (browser: CookieJar, at = service.url) =>
  (await (await browser.fetch(`${at}/api/identity`)).json()) as Record<string, unknown>;
const setAccount = (id: string, more: object) =>
  provider.accounts.set(id, { email: `${id}@example.com`, email_verified: true, groups: [], ...more });

test('the claim says the role: who is unknown is added, and the role follows at the next sign-in', async () => {
  setAccount('ada', { groups: ['everybody', 'on-call', 'else'] });
  const { browser, response, page } = await signIn('ada');
  expect(response.status).toBe(200);
  // A redirect would still come from the provider’s site, and the strict cookie would be kept back.
  expect(page).toContain('<meta http-equiv="refresh" content="0;url=/agents">');
  expect(response.headers.getSetCookie().join()).toMatch(
    /agent_stacks_session=[^;]+;.*HttpOnly; SameSite=Strict/,
  );
  expect(await identityOf(browser)).toEqual({ name: 'ada@example.com', role: 'support', mayAct: true });
  setAccount('ada', { groups: ['platform'] });
  const again = await signIn('ada');
  expect(await identityOf(again.browser)).toMatchObject({ role: 'admin' });
  // The role is the person’s: the earlier session has it too.
  expect(await identityOf(browser)).toMatchObject({ role: 'admin' });
  const audit = (await (await service.ask('/api/audit')).json()) as {
    items: { actor: string; action: string }[];
  };
  expect(audit.items.filter(({ actor }) => actor === 'ada@example.com').map(({ action }) => action)).toEqual([
    'person.role',
    'person.add',
  ]);
  const role = await service.ask('/api/people/ada@example.com', {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: '{"role":"viewer"}',
  });
  expect(role.status).toBe(409);
});

test('the request has PKCE, state and nonce, fresh each time', async () => {
  setAccount('eve', { groups: ['everybody'] });
  const [one, two] = [await begin('eve'), await begin('eve')].map(
    ({ authorization }) => authorization.searchParams,
  );
  expect(one!.get('code_challenge_method')).toBe('S256');
  for (const name of ['state', 'nonce', 'code_challenge']) {
    expect(one!.get(name)).toMatch(/^[\w-]{43}$/);
    expect(one!.get(name)).not.toBe(two!.get(name));
  }
});

test.each([
  ['no group of ours', { groups: ['else'] }, 'gives you no role here'],
  ['no groups at all', { groups: undefined }, 'gives you no role here'],
  ['an address that is not verified', { email_verified: false, groups: ['platform'] }, 'has not verified'],
  ['a login that is none', { email: 'ada via mcp', groups: ['platform'] }, 'cannot be a login'],
  ['the name of another', { email: 'operator', groups: ['platform'] }, ''],
])('%s opens no session', async (_what, claims, why) => {
  setAccount('mallory', claims);
  const { browser, response, page } = await signIn('mallory');
  expect(response.status).toBe(403);
  expect(page).toContain(why);
  expect((await browser.fetch(`${service.url}/api/identity`)).status).toBe(401);
});

test('an answer counts once, in the browser that asked, with its own state', async () => {
  setAccount('bob', { groups: ['everybody'] });
  const { browser, callback } = await begin('bob');
  const elsewhere = await begin('bob');
  expect((await elsewhere.browser.fetch(callback)).status).toBe(403);
  expect((await new CookieJar().fetch(callback)).status).toBe(403);
  const changed = new URL(callback);
  changed.searchParams.set('state', 'x'.repeat(43));
  const third = await begin('bob');
  expect((await third.browser.fetch(changed)).status).toBe(403);
  const without = new URL(callback);
  without.searchParams.delete('state');
  expect((await (await begin('bob')).browser.fetch(without)).status).toBe(403);
  expect((await browser.fetch(callback)).status).toBe(200);
  expect((await browser.fetch(callback)).status).toBe(403);
});

test('it leads to no other site', async () => {
  setAccount('bob', { groups: ['everybody'] });
  for (const next of ['//evil.test', '/\\evil.test', 'https://evil.test', 'javascript:alert(1)'])
    expect((await signIn('bob', { next })).page).toContain('content="0;url=/"');
});

test('where admins say the roles, only whom they have added signs in, and only as one account', async () => {
  const at = byAdmins.url;
  setAccount('carol', {});
  const stranger = await signIn('carol', { at });
  expect([stranger.response.status, stranger.page]).toEqual([403, expect.stringContaining('ask an admin')]);
  const json = { name: 'caz', role: 'support', login: 'carol@example.com' };
  expect((await service.ask('/api/people', { json })).status).toBe(201);
  expect(await identityOf((await signIn('carol', { at })).browser, at)).toMatchObject({
    name: 'caz',
    role: 'support',
  });
  // The provider gives the address to somebody else.
  setAccount('carol2', { email: 'carol@example.com' });
  expect((await signIn('carol2', { at })).response.status).toBe(403);
  // And carol has another one: it is still her.
  setAccount('carol', { email: 'caroline@example.com' });
  expect(await identityOf((await signIn('carol', { at })).browser, at)).toMatchObject({ name: 'caz' });
});

test('a provider that does not answer leaves the sign-in by token', async () => {
  const { oidc } = service.deps.signIn!;
  const away = await listen({
    ...service.deps,
    signIn: { oidc: { ...oidc!, issuer: 'http://127.0.0.1:1' }, tailscale: false },
  });
  try {
    const response = await fetch(`${away.url}/sign-in/oidc`, { redirect: 'manual' });
    expect([response.status, await response.text()]).toEqual([503, expect.stringContaining('use a token')]);
  } finally {
    away.close();
  }
});

test('no code, token or secret of it is logged', async () => {
  setAccount('dan', { groups: ['everybody'] });
  const { browser, callback } = await begin('dan');
  await browser.fetch(callback);
  await browser.fetch(callback);
  const logged = JSON.stringify(service.logged);
  expect(logged).toContain('oidc.refused');
  for (const secret of [
    new URL(callback).searchParams.get('code')!,
    'a-secret-of-the-client',
    browser.header(),
  ])
    expect(logged).not.toContain(secret);
});
