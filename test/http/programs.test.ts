import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROGRAM_OPERATIONS_PER_HOUR } from '../../src/http/program-limit.ts';
import { Secret } from '../../src/secret.ts';
import { API_TOKEN, startService, type TestService } from '../support/http-service.ts';
import { finishProvision } from '../support/operation-progress.ts';

/** What programs may ask for: by their token, or by the header in which they name themselves. */
const PROGRAM_TOKEN = 'program-token-for-tests';
let service: TestService;
beforeAll(async () => {
  service = await startService({ programToken: new Secret(PROGRAM_TOKEN) });
});
afterAll(() => service.stop());

async function running(agentId: string): Promise<{ agentId: string; operationId: string }> {
  const response = await service.ask('/api/agents', { json: { agentId, userId: 'u', region: 'eu-west' } });
  const created = (await response.json()) as { agentId: string; operationId: string };
  await finishProvision(service.database, created);
  return created;
}

const BY_TOKEN = { authorization: `Bearer ${PROGRAM_TOKEN}` };
const BY_NAME = { authorization: `Bearer ${API_TOKEN}`, 'agents-via': 'mcp' };
const post = (path: string, headers: Record<string, string>, body: object = {}) =>
  service.ask(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
const submit = (path: string, headers: Record<string, string>, fields: Record<string, string> = {}) =>
  service.ask(path, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'sec-fetch-site': 'same-origin', ...headers },
    body: new URLSearchParams(fields),
  });
const typeOf = async (response: Response) => ((await response.json()) as { type: string }).type;

test('a program’s token reads, acts harmlessly and proposes, and does nothing else', async () => {
  await running('t1');
  const identity = await (await service.ask('/api/identity', { headers: BY_TOKEN })).json();
  expect(identity).toEqual({ name: 'program', role: 'program', mayAct: true });
  expect((await service.ask('/api/agents', { headers: BY_TOKEN })).status).toBe(200);
  const proposed = await post('/api/proposals', BY_TOKEN, { agentId: 't1', kind: 'destroy', reason: 'why' });
  expect(await proposed.json()).toMatchObject({ proposedBy: 'program', agentStatus: 'running' });
  for (const path of [
    '/api/agents/t1/destroy',
    '/api/agents/t1/stop',
    '/api/agents/t1/hold',
    '/api/agents',
  ]) {
    const refused = await post(path, BY_TOKEN);
    expect([path, refused.status]).toEqual([path, 403]);
    expect(await typeOf(refused)).toBe('/problems/approval-required');
  }
  expect((await post('/api/agents/t1/restart', BY_TOKEN)).status).toBe(202);
  const audit = (await (await service.ask('/api/audit?agentId=t1')).json()) as { items: { actor: string }[] };
  expect(audit.items[0]).toMatchObject({ actor: 'program', action: 'agent.restart' });
});

test('it opens no session, so it approves nothing', async () => {
  const refused = await submit('/sign-in', {}, { token: PROGRAM_TOKEN });
  expect(refused.status).toBe(401);
  expect(refused.headers.get('set-cookie')).toBeNull();
});

test('what costs money is left to a person, and so is its repetition', async () => {
  const { agentId } = await running('t2');
  for (const headers of [BY_TOKEN, BY_NAME]) {
    const refused = await post(`/api/agents/${agentId}/resize`, headers, { plan: 'pro' });
    expect(refused.status).toBe(403);
    expect(await typeOf(refused)).toBe('/problems/approval-required');
  }
  const asked = await service.ask(`/api/agents/${agentId}/resize`, { json: { plan: 'pro' } });
  const { operationId } = (await asked.json()) as { operationId: string };
  await service.ask(`/api/operations/${operationId}/cancel`, { method: 'POST' });
  const retried = await post(`/api/operations/${operationId}/retry`, BY_NAME);
  expect(retried.status).toBe(403);
});

test('no form of the pages is open to a program', async () => {
  await running('t3');
  const paths = [
    '/agents/t3/restart',
    '/agents/t3/retry',
    '/agents/t3/hold',
    '/agents/t3/release',
    '/agents/t3/protect',
    '/agents/t3/unprotect',
    '/bulk',
    '/attention/breakers/creates/approve',
    '/attention/proposals/00000000-0000-4000-8000-000000000000/approve',
    '/attention/proposals/00000000-0000-4000-8000-000000000000/reject',
  ];
  for (const path of paths)
    for (const headers of [BY_TOKEN, BY_NAME])
      expect([path, (await submit(path, headers)).status]).toEqual([path, 403]);
  for (const path of ['/sign-in', '/sign-out'])
    expect([path, (await submit(path, BY_NAME, { token: API_TOKEN })).status]).toEqual([path, 403]);
  expect((await service.ask('/agents/t3', { headers: BY_NAME })).status).toBe(200);
});

test('all programs together ask for so many operations within an hour, and people for more', async () => {
  const { operationId } = await running('t4');
  await running('t5');
  await sql`delete from audit_log where actor like 'program%' or actor like '% via %'`.execute(
    service.database,
  );
  const asked = (count: number, minutes: number) =>
    sql`
    insert into audit_log (at, actor, action, agent_id, operation_id)
    select now() - make_interval(mins => ${minutes}), case n % 2 when 0 then 'program' else 'operator via mcp' end,
      'agent.restart', 't4', ${operationId} from generate_series(1, ${count}) n`.execute(service.database);
  await asked(200, 61);
  await asked(PROGRAM_OPERATIONS_PER_HOUR - 1, 10);
  // Of two at once, one is the last.
  const answers = await Promise.all([
    post('/api/agents/t4/restart', BY_TOKEN),
    post('/api/agents/t5/restart', BY_NAME),
  ]);
  expect(answers.map(({ status }) => status).sort()).toEqual([202, 429]);
  const refused = answers.find(({ status }) => status === 429)!;
  expect(await typeOf(refused)).toBe('/problems/too-many-by-programs');
  const seconds = Number(refused.headers.get('retry-after'));
  expect(seconds).toBeGreaterThan(49 * 60);
  expect(seconds).toBeLessThanOrEqual(50 * 60);
  expect((await post(`/api/operations/${operationId}/retry`, BY_TOKEN)).status).toBe(429);
  await running('t6');
  expect((await service.ask('/api/agents/t6/restart', { method: 'POST' })).status).toBe(202);
});
