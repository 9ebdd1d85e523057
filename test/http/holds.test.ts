import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { claimNext } from '../../src/operations/claims.ts';
import { succeed } from '../../src/operations/settle.ts';
import { startService, type TestService } from '../support/http-service.ts';
import { finishProvision } from '../support/operation-progress.ts';

let now = new Date('2027-01-31T10:00:00.000Z');
let service: TestService;
beforeAll(async () => {
  service = await startService({ clock: { now: () => now } });
});
afterAll(() => service.stop());

interface AgentAnswer {
  agentId: string;
  status: string;
  holds: object[];
  protected: boolean;
}
interface OperationAnswer {
  operationId: string;
  agentId: string;
  kind: string;
  status: string;
}

const body = async <T>(response: Promise<Response>): Promise<T> => (await response).json() as Promise<T>;

async function create(): Promise<string> {
  const created = await body<OperationAnswer>(
    service.ask('/api/agents', { json: { userId: 'u1', region: 'eu-west' } }),
  );
  await finishProvision(service.database, created);
  return created.agentId;
}

let agentId: string;
beforeEach(async () => {
  now = new Date('2027-01-31T10:00:00.000Z');
  agentId = await create();
});

const ask = (verb: string, json: unknown) => service.ask(`/api/agents/${agentId}/${verb}`, { json });
const protect = (json: unknown) =>
  service.ask(`/api/agents/${agentId}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(json),
  });
const show = () => body<AgentAnswer>(service.ask(`/api/agents/${agentId}`));
const detail = async (response: Response) => ((await response.json()) as { detail: string }).detail;

/** Finishes the next operation of this test's agent as a worker does. */
async function finish(kind: string): Promise<void> {
  // Earlier tests' agents have operations too.
  await service.database
    .updateTable('operations')
    .set({ run_after: new Date(Date.now() + 3_600_000) })
    .where('agent_id', '<>', agentId)
    .where('status', '=', 'queued')
    .execute();
  const row = await claimNext(service.database, 'w1');
  expect(row?.agent_id).toBe(agentId);
  const mine = { operationId: row!.operation_id, attempt: row!.attempt, workerId: 'w1' };
  await succeed(service.deps, mine, { kind });
}

describe('holds', () => {
  test('a hold answers 202 with the suspend, its release with the resume', async () => {
    const held = await ask('hold', { reason: 'abuse', note: ' mines coins ' });
    expect(held.status).toBe(202);
    const operation = await body<OperationAnswer>(Promise.resolve(held));
    expect(operation).toMatchObject({ agentId, kind: 'suspend', status: 'queued' });
    expect(held.headers.get('location')).toBe(`/api/operations/${operation.operationId}`);
    const hold = { reason: 'abuse', since: now.toISOString(), by: 'operator', note: 'mines coins' };
    expect(await show()).toMatchObject({ status: 'running', holds: [hold] });
    await finish('suspended');
    expect(await show()).toMatchObject({ status: 'suspended', holds: [hold] });
    const listed = await body<{ items: AgentAnswer[] }>(service.ask('/api/agents?status=suspended'));
    expect(listed.items).toMatchObject([{ agentId, holds: [hold] }]);
    const released = await ask('release', { reason: 'abuse' });
    expect(released.status).toBe(202);
    expect(await body(Promise.resolve(released))).toMatchObject({ kind: 'resume' });
    await finish('resumed');
    expect(await show()).toMatchObject({ status: 'running', holds: [] });
  });

  test('200 with the agent where nothing has to be done', async () => {
    await ask('hold', { reason: 'abuse' });
    await finish('suspended');
    const again = await ask('hold', { reason: 'operator' });
    expect(again.status).toBe(200);
    expect((await body<AgentAnswer>(Promise.resolve(again))).holds).toHaveLength(2);
    now = new Date('2027-02-01T10:00:00.000Z');
    const same = await ask('hold', { reason: 'operator', note: 'again' });
    expect(await body(Promise.resolve(same))).toMatchObject({
      holds: [{ since: '2027-01-31T10:00:00.000Z' }, { since: '2027-01-31T10:00:00.000Z', note: null }],
    });
    const one = await ask('release', { reason: 'abuse' });
    expect(one.status).toBe(200);
    expect(await body(Promise.resolve(one))).toMatchObject({
      status: 'suspended',
      holds: [{ reason: 'operator' }],
    });
    expect((await ask('release', { reason: 'abuse' })).status).toBe(200);
    expect((await ask('release', { reason: 'operator' })).status).toBe(202);
    await finish('resumed');
  });

  test('a person releases a payment hold only where nobody follows payments', async () => {
    await ask('hold', { reason: 'operator' });
    await finish('suspended');
    await service.database
      .updateTable('holds')
      .set({ reason: 'payment' })
      .where('agent_id', '=', agentId)
      .execute();
    expect((await ask('release', { reason: 'payment' })).status).toBe(400);
    service.deps.followsPayments = false;
    try {
      const page = await (await service.ask(`/agents/${agentId}`)).text();
      expect(page).toContain('id="release-payment"');
      expect((await ask('hold', { reason: 'payment' })).status).toBe(400);
      const released = await ask('release', { reason: 'payment' });
      expect(await body(Promise.resolve(released))).toMatchObject({ kind: 'resume', status: 'queued' });
    } finally {
      service.deps.followsPayments = true;
    }
    await finish('resumed');
  });

  test('a hold that comes twice before it is carried out answers with the same operation', async () => {
    const first = await body<OperationAnswer>(ask('hold', { reason: 'operator' }));
    const second = await body<OperationAnswer>(ask('hold', { reason: 'operator' }));
    expect(second.operationId).toBe(first.operationId);
    expect((await ask('release', { reason: 'operator' })).status).toBe(200);
    const cancelled = await body<OperationAnswer>(service.ask(`/api/operations/${first.operationId}`));
    expect(cancelled.status).toBe('cancelled');
  });

  test('people place and release only their own reasons', async () => {
    for (const reason of ['payment', 'dispute', 'none', undefined]) {
      const response = await ask('hold', { reason });
      expect(response.status).toBe(400);
      expect(await detail(response)).toBe('body.reason must be abuse or operator');
      expect((await ask('release', { reason })).status).toBe(400);
    }
    expect((await ask('hold', { reason: 'abuse', note: 'x'.repeat(1001) })).status).toBe(400);
    expect((await ask('hold', { reason: 'abuse', more: 1 })).status).toBe(400);
    expect((await show()).holds).toEqual([]);
  });

  test('start and its like are refused while a hold is there; cancelling the suspend too', async () => {
    const { operationId } = await body<OperationAnswer>(ask('hold', { reason: 'abuse' }));
    const restart = await ask('restart', {});
    expect(restart.status).toBe(409);
    expect(await detail(restart)).toContain(`Agent ${agentId} is held (abuse since 2027-01-31`);
    const cancel = await service.ask(`/api/operations/${operationId}/cancel`, { method: 'POST' });
    expect(cancel.status).toBe(409);
    await finish('suspended');
    const start = await ask('start', {});
    expect(start.status).toBe(409);
    expect(await detail(start)).toContain('is held (abuse since');
    expect((await ask('refresh', {})).status).toBe(202);
    expect((await ask('destroy', {})).status).toBe(202);
    const late = await ask('hold', { reason: 'operator' });
    expect(late.status).toBe(409);
    expect(await detail(late)).toBe(`Agent ${agentId} is destroying; it can no longer be held`);
  });

  test('neither kind has a route of its own, and an unknown agent is a 404', async () => {
    for (const kind of ['suspend', 'resume']) expect((await ask(kind, {})).status).toBe(404);
    const missing = await service.ask('/api/agents/missing/hold', { json: { reason: 'abuse' } });
    expect(missing.status).toBe(404);
  });
});

describe('protection', () => {
  test('a protected agent is destroyed by nobody until it is unprotected', async () => {
    const answer = await protect({ protected: true });
    expect(answer.status).toBe(200);
    expect(await body(Promise.resolve(answer))).toMatchObject({ agentId, protected: true });
    const refused = await ask('destroy', {});
    expect(refused.status).toBe(409);
    expect(await detail(refused)).toContain('is protected');
    // Whatever program asks, the database refuses it.
    const directly = service.database
      .updateTable('agents')
      .set({ status: 'destroying' })
      .where('agent_id', '=', agentId)
      .execute();
    await expect(directly).rejects.toThrow('agents_protected');
    expect((await protect({ protected: true })).status).toBe(200);
    expect(await show()).toMatchObject({ status: 'running', protected: true });
    expect((await protect({ protected: false })).status).toBe(200);
    expect((await ask('destroy', {})).status).toBe(202);
    expect((await protect({ protected: true })).status).toBe(409);
    const audited = await service.database
      .selectFrom('audit_log')
      .select('action')
      .where('agent_id', '=', agentId)
      .where('action', 'like', 'agent.%protect')
      .orderBy('id')
      .execute();
    expect(audited.map(({ action }) => action)).toEqual(['agent.protect', 'agent.unprotect']);
  });

  test('the body says exactly that', async () => {
    for (const wanted of [{}, { protected: 'yes' }, { protected: true, more: 1 }, [], null])
      expect((await protect(wanted)).status, JSON.stringify(wanted)).toBe(400);
    expect((await show()).protected).toBe(false);
  });

  test('a cookie alone from another site changes nothing', async () => {
    const response = await fetch(`${service.url}/api/agents/${agentId}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: '{"protected":true}',
    });
    expect(response.status).toBe(401);
  });
});

test('the API document describes the routes', async () => {
  const document = await body<{ paths: Record<string, Record<string, { responses: object }>> }>(
    service.ask('/openapi.json'),
  );
  const hold = document.paths['/api/agents/{agentId}/hold']?.post;
  expect(Object.keys(hold?.responses ?? {})).toEqual(expect.arrayContaining(['200', '202', '403', '409']));
  expect(document.paths['/api/agents/{agentId}']?.patch?.responses).toHaveProperty('403');
  expect(document.paths['/api/agents/{agentId}/suspend']).toBeUndefined();
});

describe('pages', () => {
  const page = async (path: string) => (await service.ask(path)).text();
  const submit = (verb: string, fields: Record<string, string>) =>
    service.ask(`/agents/${agentId}/${verb}`, {
      method: 'POST',
      body: new URLSearchParams(fields),
    });

  test('hold, banner, release', async () => {
    expect(await page(`/agents/${agentId}`)).toContain(`href="/agents/${agentId}/hold"`);
    const question = await page(`/agents/${agentId}/hold`);
    expect(question).toMatch(/<option value="operator">.*<option value="abuse">/);
    const held = await submit('hold', { reason: 'abuse', note: '<b>mines</b>' });
    expect(held.status).toBe(303);
    expect(held.headers.get('location')).toBe(`/agents/${agentId}`);
    const before = await page(`/agents/${agentId}`);
    expect(before).toContain('Held: it will be suspended');
    expect(before).toContain('&lt;b&gt;mines&lt;/b&gt;');
    expect(before).not.toContain(`id="restart-${agentId}"`);
    await finish('suspended');
    const suspended = await page(`/agents/${agentId}`);
    expect(suspended).toContain('<h2 id="holds-title">Suspended</h2>');
    expect(suspended).toMatch(/since <span [^>]*><time datetime="2027-01-31T10:00:00.000Z">/);
    expect(await page('/')).toContain('Held: abuse');
    expect((await submit('release', { reason: 'abuse' })).status).toBe(303);
    await finish('resumed');
    expect(await page(`/agents/${agentId}`)).not.toContain('holds-title');
    expect((await submit('hold', { reason: 'payment' })).status).toBe(400);
  });

  test('protect and unprotect; a protected agent has no button to destroy it', async () => {
    expect((await submit('protect', {})).status).toBe(303);
    const protectedPage = await page(`/agents/${agentId}`);
    expect(protectedPage).toContain(`id="unprotect-${agentId}"`);
    expect(protectedPage).not.toContain(`id="destroy-${agentId}"`);
    expect((await submit('unprotect', {})).status).toBe(303);
    expect(await page(`/agents/${agentId}`)).toContain(`id="destroy-${agentId}"`);
  });
});
