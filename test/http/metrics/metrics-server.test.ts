import { createServer } from 'node:net';
import { sql } from 'kysely';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDatabase, createPool, type Database } from '../../../src/database/connect.ts';
import { ROLES } from '../../../src/database/vocabulary.ts';
import { createCredentials } from '../../../src/http/credentials.ts';
import { openMetricsServer } from '../../../src/http/metrics/metrics-server.ts';
import { Secret } from '../../../src/secret.ts';
import { observeCall } from '../../../src/telemetry/observations.ts';
import { startService, type TestService } from '../../support/http-service.ts';
import { addPerson, makeToken } from '../../support/people.ts';

const apiToken = new Secret('token-of-the-operator');
const viewerToken = new Secret('token-of-the-viewer');
const silent = pino({ level: 'silent' });
let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const openWith = (database: Database) =>
  openMetricsServer({
    host: '127.0.0.1',
    port: 0,
    credentials: createCredentials({
      ...{ database, log: silent, apiToken, viewerToken },
      programToken: new Secret('token-of-the-program'),
    }),
    log: silent,
  });

it('serves the metrics of its process alone', async () => {
  // A process counts for all of its tests, and none of the others asks Stripe with HEAD.
  observeCall({ vendor: 'stripe', method: 'HEAD', status: undefined, seconds: 3, headers: undefined });
  const server = openWith(service.database);
  const url = `http://127.0.0.1:${await server.port}`;
  const ask = (path: string, token: string) =>
    fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } });
  const answer = await ask('/metrics', apiToken.reveal());
  expect(answer.headers.get('content-type')).toContain('text/plain');
  const text = await answer.text();
  expect(text).toContain(
    'agent_stacks_vendor_call_duration_seconds_bucket{le="5",vendor="stripe",method="HEAD",outcome="no_answer"} 1\n',
  );
  expect(text).not.toContain('agent_stacks_agents{');
  for (const token of ['', 'another', `${apiToken.reveal()}x`])
    expect((await ask('/metrics', token)).status).toBe(401);
  expect((await ask('/', apiToken.reveal())).status).toBe(404);
  expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok' });
  await server.stop();
});

it('lets those read who read the installation’s metrics', async () => {
  const server = openWith(service.database);
  const url = `http://127.0.0.1:${await server.port}/metrics`;
  const read = async (token: string | undefined) =>
    (await fetch(url, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } })).status;
  const people = Object.fromEntries(
    await Promise.all(
      ROLES.map(async (role) => [role, await addPerson(service, `a-${role}`, role)] as const),
    ),
  );
  const revoked = await makeToken(service, 'a-viewer');
  await service.ask(`/api/tokens/${revoked.tokenId}`, { method: 'DELETE' });
  const expired = await makeToken(service, 'a-viewer');
  await sql`update tokens set created_at = now() - interval '2 days', expires_at = now() - interval '1 day'
    where token_id = ${expired.tokenId}`.execute(service.database);
  const expected: [string, string | undefined, number][] = [
    ['API_TOKEN', apiToken.reveal(), 200],
    ['VIEWER_TOKEN', viewerToken.reveal(), 200],
    ['PROGRAM_TOKEN', 'token-of-the-program', 200],
    ...ROLES.map((role): [string, string, number] => [role, people[role]!.token, 200]),
    ['a revoked one', revoked.token, 401],
    ['an expired one', expired.token, 401],
    ['nobody’s', `agst_${'x'.repeat(43)}`, 401],
    ['none', undefined, 401],
  ];
  for (const [whose, token, status] of expected) expect([whose, await read(token)]).toEqual([whose, status]);
  await server.stop();
});

it('knows the tokens of its environment while the database is away, and no person’s', async () => {
  const pool = createPool(new Secret('postgres://nobody@127.0.0.1:1/none'), 1, 'away');
  const server = openWith(createDatabase(pool));
  const url = `http://127.0.0.1:${await server.port}/metrics`;
  const read = async (token: string) =>
    (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).status;
  expect([await read(viewerToken.reveal()), await read(`agst_${'x'.repeat(43)}`)]).toEqual([200, 503]);
  await server.stop();
  await pool.end();
});

it('limits wrong tokens, and no right ones', async () => {
  const server = openWith(service.database);
  const url = `http://127.0.0.1:${await server.port}/metrics`;
  const ask = (token: string) => fetch(url, { headers: { authorization: `Bearer ${token}` } });
  const statuses: number[] = [];
  for (let time = 0; time < 11; time += 1) statuses.push((await ask('a-guess')).status);
  expect(statuses).toEqual([...Array(10).fill(401), 429]);
  expect(Number((await ask('a-guess')).headers.get('retry-after'))).toBeGreaterThan(0);
  for (const token of [apiToken, viewerToken]) expect((await ask(token.reveal())).status).toBe(200);
  await server.stop();
});

it('a port that is taken costs the metrics alone, and is said', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as { port: number };
  const logged: string[] = [];
  const log = pino({}, { write: (line: string) => logged.push(line) });
  const server = openMetricsServer({
    host: '127.0.0.1',
    port,
    credentials: { find: async () => undefined },
    log,
  });
  expect(await server.port).toBeUndefined();
  expect(logged.join('')).toContain('metrics.no_port');
  await server.stop();
  other.close();
});
