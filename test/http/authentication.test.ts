import { sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createApp } from '../../src/app/api.ts';
import { Secret } from '../../src/secret.ts';
import { API_TOKEN, startService, type TestService } from '../support/http-service.ts';

let service: TestService;
beforeEach(async () => {
  service = await startService({ trustedProxies: 'loopback' });
});
afterEach(() => service.stop());

const from = (address: string) => ({ 'x-forwarded-for': address });

async function signIn(token: string, address = '198.51.100.1', at = service.url): Promise<Response> {
  return fetch(`${at}/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'sec-fetch-site': 'same-origin', ...from(address) },
    body: new URLSearchParams({ token }),
  });
}

async function newCookie(): Promise<string> {
  const response = await signIn(API_TOKEN);
  expect(response.status).toBe(303);
  return response.headers.get('set-cookie')!.split(';')[0]!;
}

const bearer = (token: string, address = '198.51.100.1', path = '/api/agents') =>
  service.ask(path, { headers: { authorization: `Bearer ${token}`, ...from(address) } });

const withCookie = (cookie: string, path = '/api/agents') => service.ask(path, { headers: { cookie } });

const statuses = async (ask: () => Promise<Response>, times: number) => {
  const found: number[] = [];
  for (let time = 0; time < times; time += 1) found.push((await ask()).status);
  return found;
};

/** Another API process on the same database. */
async function anotherProcess(overrides: { apiToken?: Secret } = {}) {
  const server = createApp({ ...service.deps, ...overrides }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() };
}

test('after ten wrong tokens the next one has to wait, but the right one is accepted at once', async () => {
  expect(await statuses(() => signIn('a-wrong-guess-of-it'), 11)).toEqual([...Array(10).fill(401), 429]);
  const refused = await signIn('a-wrong-guess-of-it');
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await refused.text()).toContain('Too many attempts');
  expect((await signIn(API_TOKEN)).status).toBe(303);
  expect(JSON.stringify(service.logged)).not.toContain('a-wrong-guess');
  expect(service.logged.filter(({ event }) => event === 'token.refused')).toHaveLength(10);
});

test('right tokens do not count', async () => {
  expect(await statuses(() => bearer(API_TOKEN), 15)).toEqual(Array(15).fill(200));
  expect(await statuses(() => signIn(API_TOKEN), 15)).toEqual(Array(15).fill(303));
  expect((await bearer('wrong')).status).toBe(401);
});

test('wrong bearer tokens share one limit across all routes, and the right one is not limited', async () => {
  const paths = ['/api/agents', '/metrics', '/', '/api/nothing-there'];
  const answers: number[] = [];
  for (let time = 0; time < 12; time += 1)
    answers.push((await bearer('wrong', '203.0.113.9', paths[time % paths.length])).status);
  expect(answers.slice(0, 10)).not.toContain(429);
  expect(answers.slice(10)).toEqual([429, 429]);
  expect((await signIn('wrong', '203.0.113.9')).status).toBe(429);
  expect((await bearer(API_TOKEN, '203.0.113.9')).status).toBe(200);
  const problem = await bearer('wrong', '203.0.113.9');
  expect(problem.headers.get('content-type')).toContain('application/problem+json');
  expect(Number(problem.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(problem.headers.get('ratelimit')).toMatch(/^"wrong-tokens"; r=0; t=\d+$/);
  expect(problem.headers.get('ratelimit-policy')).toMatch(/^"wrong-tokens"; q=10; w=60/);
  expect((await bearer(API_TOKEN, '203.0.113.9')).headers.get('ratelimit')).toBeNull();
});

test('sign-out answers right and wrong bearer tokens alike', async () => {
  const signOut = (token: string) =>
    service.ask('/sign-out', { method: 'POST', headers: { authorization: `Bearer ${token}` } });
  expect((await signOut('wrong')).status).toBe((await signOut(API_TOKEN)).status);
});

test('behind a trusted proxy each client has its own limit, and an IPv6 network shares one', async () => {
  await statuses(() => signIn('wrong', '203.0.113.1'), 11);
  expect((await signIn('wrong', '203.0.113.1')).status).toBe(429);
  expect((await signIn('wrong', '203.0.113.2')).status).toBe(401);
  for (let host = 1; host <= 11; host += 1) await signIn('wrong', `2001:db8:1::${host}`);
  expect((await signIn('wrong', '2001:db8:1::ffff')).status).toBe(429);
  expect((await signIn('wrong', '2001:db8:ffff::1')).status).toBe(401);
});

test('without trusted proxies clients cannot choose their address', async () => {
  const plain = await startService();
  try {
    const answers: number[] = [];
    for (let time = 0; time < 11; time += 1)
      answers.push((await signIn('wrong', `203.0.113.${time}`, plain.url)).status);
    expect(answers.at(-1)).toBe(429);
  } finally {
    await plain.stop();
  }
});

test('signing out ends the session, for a copied cookie and in every process', async () => {
  const other = await anotherProcess();
  try {
    const cookie = await newCookie();
    const kept = await newCookie();
    const there = () => fetch(`${other.url}/api/agents`, { headers: { cookie } });
    expect((await there()).status).toBe(200);
    const headers = { cookie, 'sec-fetch-site': 'same-origin' };
    expect((await service.ask('/sign-out', { method: 'POST', headers })).status).toBe(303);
    expect((await withCookie(cookie)).status).toBe(401);
    expect((await there()).status).toBe(401);
    expect((await withCookie(cookie, '/')).status).toBe(303);
    expect((await withCookie(kept)).status).toBe(200);
  } finally {
    other.close();
  }
});

test('an event stream opened with a copied cookie ends after the session', async () => {
  const cookie = await newCookie();
  const stream = await withCookie(cookie, '/api/events');
  expect(stream.status).toBe(200);
  const ended = stream.text().catch(() => 'broken off');
  await service.ask('/sign-out', { method: 'POST', headers: { cookie, 'sec-fetch-site': 'same-origin' } });
  await ended;
});

test('a session ends at its expiry, and with another API_TOKEN', async () => {
  const cookie = await newCookie();
  const other = await anotherProcess({ apiToken: new Secret('the-next-operators-token') });
  const there = await fetch(`${other.url}/api/agents`, { headers: { cookie } });
  other.close();
  expect(there.status).toBe(401);
  expect((await withCookie(cookie)).status).toBe(200);
  await sql`update sessions set created_at = now() - interval '13 hours', expires_at = now() - interval '1 hour'`.execute(
    service.database,
  );
  expect((await withCookie(cookie)).status).toBe(401);
});

test('the sessions table holds nothing from which a cookie could be made', async () => {
  const [, id] = (await newCookie()).split('=');
  const rows = await sql<{ row: string }>`select sessions::text as row from sessions`.execute(
    service.database,
  );
  expect(rows.rows).toHaveLength(1);
  const text = JSON.stringify(rows.rows);
  expect(text).not.toContain(id);
  expect(text).not.toContain(Buffer.from(id!, 'base64url').toString('hex'));
});
