import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Role } from '../../src/database/vocabulary.ts';
import { startService, type TestService } from '../support/http-service.ts';
import { finishProvision } from '../support/operation-progress.ts';
import { addPerson, makeToken, signIn } from '../support/people.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

/** The names of this test’s people. */
let [count, ada, bob] = [0, '', ''];
beforeEach(() => {
  count += 1;
  [ada, bob] = [`ada${count}@example.com`, `bob${count}`];
});

const body = async (response: Response) => (await response.json()) as Record<string, unknown>;
const items = async (path: string, headers: Record<string, string>) =>
  ((await body(await service.ask(path, { headers }))).items ?? []) as Record<string, unknown>[];
const setRole = (name: string, role: Role, headers = {}) =>
  service.ask(`/api/people/${name}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ role }),
  });
const remove = (path: string, headers = {}) => service.ask(path, { method: 'DELETE', headers });

async function running(agentId: string): Promise<void> {
  const response = await service.ask('/api/agents', { json: { agentId, userId: 'u', region: 'eu-west' } });
  await finishProvision(
    service.database,
    (await response.json()) as { agentId: string; operationId: string },
  );
}

test('API_TOKEN is an admin’s, and the audit log calls its holder operator', async () => {
  expect(await body(await service.ask('/api/identity'))).toEqual({
    name: 'operator',
    role: 'admin',
    mayAct: true,
  });
  await addPerson(service, ada, 'viewer');
  expect(await items('/api/people', {})).toContainEqual({
    name: ada,
    role: 'viewer',
    roleByClaim: false,
    login: ada,
    createdAt: expect.any(String),
    createdBy: 'operator',
  });
});

test('what people do is recorded under their names, also through a program', async () => {
  const { bearer } = await addPerson(service, ada, 'operator');
  await running(`t${count}`);
  const post = (path: string, headers = {}) =>
    service.ask(path, { method: 'POST', headers: { ...bearer, ...headers } });
  expect((await post(`/api/agents/t${count}/restart`)).status).toBe(202);
  const propose = { agentId: `t${count}`, kind: 'destroy', reason: 'why' };
  const proposed = await service.ask('/api/proposals', {
    json: propose,
    headers: { ...bearer, 'agents-via': 'mcp' },
  });
  const { proposalId } = await body(proposed);
  const boss = await signIn(service, (await addPerson(service, bob, 'operator')).token);
  await service.ask(`/attention/proposals/${proposalId}/reject`, { method: 'POST', headers: boss });
  const audit = await items(`/api/audit?agentId=t${count}`, {});
  expect(audit.map(({ actor, action }) => [actor, action])).toEqual(
    expect.arrayContaining([
      [ada, 'agent.restart'],
      [`${ada} via mcp`, 'proposal.create'],
      [bob, 'proposal.reject'],
    ]),
  );
  expect((await items('/api/proposals', {}))[0]).toMatchObject({
    proposedBy: `${ada} via mcp`,
    decidedBy: bob,
  });
});

test('a token is 256 random bits, shown once, stored as a hash and never logged', async () => {
  const { token } = await addPerson(service, ada, 'viewer');
  expect(token).toMatch(/^agst_[\w-]{43}$/);
  const rows = await sql<{ row: string }>`select tokens::text as row from tokens`.execute(service.database);
  expect(JSON.stringify(rows.rows)).not.toContain(token.slice(5));
  const listed = await items('/api/tokens', {});
  expect(listed[0]).toMatchObject({
    name: ada,
    label: 'tests',
    status: 'open',
    lastUsedAt: null,
    createdBy: 'operator',
  });
  await service.ask('/api/agents', { headers: { authorization: `Bearer ${token}` } });
  await service.ask('/api/agents', { headers: { authorization: `Bearer ${token}x` } });
  expect((await items('/api/tokens', {}))[0]).toMatchObject({ lastUsedAt: expect.any(String) });
  const audit = await sql<{ row: string }>`select audit_log::text as row from audit_log`.execute(
    service.database,
  );
  for (const text of [listed, service.logged, audit.rows])
    expect(JSON.stringify(text)).not.toContain(token.slice(5));
});

test('its use is written once within ten minutes', async () => {
  const { bearer, tokenId } = await addPerson(service, ada, 'viewer');
  const use = async () => {
    await service.ask('/api/identity', { headers: bearer });
    const { rows } = await sql<{ version: string; at: Date }>`select xmin::text as version, last_used_at as at
      from tokens where token_id = ${tokenId}`.execute(service.database);
    return rows[0]!;
  };
  const first = await use();
  expect(await use()).toEqual(first);
  await sql`update tokens set last_used_at = now() - interval '11 minutes' where token_id = ${tokenId}`.execute(
    service.database,
  );
  expect((await use()).at.getTime()).toBeGreaterThanOrEqual(first.at.getTime());
});

test('roles change at once, for a token and for an open session', async () => {
  const { bearer, token } = await addPerson(service, ada, 'admin');
  const cookie = await signIn(service, token);
  expect((await service.ask('/api/people', { headers: cookie })).status).toBe(200);
  expect((await setRole(ada, 'viewer')).status).toBe(200);
  for (const headers of [bearer, cookie]) {
    expect((await service.ask('/api/people', { headers })).status).toBe(403);
    expect((await service.ask('/api/agents', { headers })).status).toBe(200);
  }
});

test('nobody changes or removes themselves, so one admin always remains', async () => {
  const { bearer } = await addPerson(service, ada, 'admin');
  expect((await setRole(ada, 'viewer', bearer)).status).toBe(409);
  expect((await remove(`/api/people/${ada}`, bearer)).status).toBe(409);
  await addPerson(service, bob, 'admin');
  expect((await setRole(bob, 'viewer', bearer)).status).toBe(200);
});

test('names that the audit log gives others, or that look alike, are refused', async () => {
  await addPerson(service, ada, 'viewer');
  for (const name of [
    'operator',
    'program',
    'service',
    'stripe',
    'viewer',
    'Ada',
    'ada via mcp',
    'аda',
    '',
    'a'.repeat(101),
  ])
    expect([name, (await service.ask('/api/people', { json: { name, role: 'viewer' } })).status]).toEqual([
      name,
      400,
    ]);
  for (const json of [
    { name: ada, role: 'viewer' },
    { name: bob, role: 'viewer', login: ada.toUpperCase() },
  ])
    expect((await service.ask('/api/people', { json })).status).toBe(409);
  expect((await service.ask('/api/people', { json: { name: bob, role: 'owner' } })).status).toBe(400);
});

test('somebody sees and ends their own tokens and sessions only; an admin everybody’s', async () => {
  const mine = await addPerson(service, ada, 'viewer');
  const theirs = await addPerson(service, bob, 'operator');
  const cookie = await signIn(service, mine.token);
  await signIn(service, theirs.token);
  const [own] = await items('/api/sessions', mine.bearer);
  expect(own).toMatchObject({ name: ada, method: 'token', browser: 'test browser' });
  expect(await items('/api/sessions', mine.bearer)).toHaveLength(1);
  expect((await items('/api/tokens', mine.bearer)).map(({ name }) => name)).toEqual([ada]);
  const [other] = await items('/api/sessions', theirs.bearer);
  expect((await remove(`/api/sessions/${other!.sessionId}`, mine.bearer)).status).toBe(404);
  expect((await remove(`/api/tokens/${theirs.tokenId}`, mine.bearer)).status).toBe(404);
  expect((await remove(`/api/sessions/${own!.sessionId}`, mine.bearer)).status).toBe(200);
  expect((await service.ask('/api/agents', { headers: cookie })).status).toBe(401);
  expect((await remove(`/api/sessions/${other!.sessionId}`)).status).toBe(200);
  expect((await remove(`/api/tokens/${mine.tokenId}`, mine.bearer)).status).toBe(200);
  expect((await service.ask('/api/agents', { headers: mine.bearer })).status).toBe(401);
});

/** An open stream of events; `ended` resolves when the service closes it. */
async function openStream(headers: Record<string, string>): Promise<{ ended: Promise<unknown> }> {
  const stream = await service.ask('/api/events', { headers });
  expect(stream.status).toBe(200);
  return { ended: stream.text().catch(() => 'broken off') };
}

test('a revoked token ends its event streams, and the sessions that were opened with it', async () => {
  const { token, tokenId, bearer } = await addPerson(service, ada, 'viewer');
  const spare = await makeToken(service, ada);
  const [byToken, bySession] = [await openStream(bearer), await openStream(await signIn(service, token))];
  const kept = await signIn(service, spare.token);
  await remove(`/api/tokens/${tokenId}`);
  await Promise.all([byToken.ended, bySession.ended]);
  expect((await service.ask('/api/agents', { headers: kept })).status).toBe(200);
});

test('a person who is removed loses tokens, sessions and open streams', async () => {
  const { token, bearer } = await addPerson(service, ada, 'admin');
  const cookie = await signIn(service, token);
  const streams = [await openStream(bearer), await openStream(cookie)];
  expect((await remove(`/api/people/${ada}`)).status).toBe(200);
  await Promise.all(streams.map(({ ended }) => ended));
  for (const headers of [bearer, cookie])
    expect((await service.ask('/api/agents', { headers })).status).toBe(401);
});

test('ending its own session, by form, is answered', async () => {
  const { token } = await addPerson(service, ada, 'viewer');
  const headers = await signIn(service, token);
  const [own] = await items('/api/sessions', headers);
  const ended = await service.ask(`/people/sessions/${own!.sessionId}/end`, { method: 'POST', headers });
  expect([ended.status, ended.headers.get('location')]).toEqual([303, '/people']);
  expect((await service.ask('/people', { headers })).headers.get('location')).toBe('/sign-in?next=%2Fpeople');
});

test('signing in ends the session that the browser had, and never takes a session’s secret from it', async () => {
  const first = await signIn(service, (await addPerson(service, ada, 'admin')).token);
  const { token } = await addPerson(service, bob, 'viewer');
  const again = await fetch(`${service.url}/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers: first,
    body: new URLSearchParams({ token }),
  });
  const cookie = again.headers.get('set-cookie')!.split(';')[0]!;
  expect(cookie).not.toBe(first.cookie);
  expect((await service.ask('/api/identity', { headers: first })).status).toBe(401);
  expect(await body(await service.ask('/api/identity', { headers: { cookie } }))).toMatchObject({
    name: bob,
  });
});

test('the page adds somebody, makes their token, shows it once, and lists what is whose', async () => {
  const headers = await signIn(service, (await addPerson(service, ada, 'admin')).token);
  const submit = (path: string, fields: Record<string, string>) =>
    service.ask(path, { method: 'POST', headers, body: new URLSearchParams(fields) });
  const page = async (as: Record<string, string>) => (await service.ask('/people', { headers: as })).text();
  expect((await submit('/people', { name: bob, role: 'support', login: '' })).status).toBe(303);
  const made = await submit('/people/tokens', { name: bob, label: 'his laptop', days: '7' });
  expect([made.status, made.headers.get('cache-control')]).toEqual([200, 'no-store']);
  const [token] = /agst_[\w-]{43}/.exec(await made.text())!;
  expect(await page(headers)).toContain('his laptop');
  expect(await page(headers)).not.toContain(token);
  const bobs = await signIn(service, token!);
  const own = await page(bobs);
  expect(own).toContain('his laptop');
  expect(own).not.toContain('tests');
  expect((await submit(`/people/${bob}/role`, { role: 'viewer' })).status).toBe(303);
  expect((await submit(`/people/${bob}/role`, { role: 'owner' })).status).toBe(400);
  expect((await submit(`/people/${ada}/role`, { role: 'viewer' })).status).toBe(409);
  expect((await submit(`/people/${bob}/remove`, {})).status).toBe(303);
  expect((await service.ask('/people', { headers: bobs })).headers.get('location')).toContain('/sign-in');
});
