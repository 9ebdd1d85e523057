import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { releaseHeld } from '../../src/limits/release.ts';
import { startService, type TestService } from '../support/http-service.ts';
import { deliver, paidCheckout } from '../support/stripe-events.ts';

let service: TestService;
let now = new Date('2027-01-01T00:00:00Z');
const clock = { now: () => now };
beforeAll(async () => {
  service = await startService({ clock });
  await sql`update breakers set limit_count = 2 where name = 'creates'`.execute(service.database);
});
afterAll(() => service.stop());

interface Body {
  items: Record<string, unknown>[];
  nextCursor: string | null;
  [key: string]: unknown;
}

const json = async (path: string, init: { json?: unknown } = {}) => {
  const response = await service.ask(path, init);
  return { status: response.status, body: (await response.json()) as Body };
};
const breaker = async (name: string) =>
  (await json('/api/breakers')).body.items.find((item) => item.name === name);
const buy = (agentId: string) => deliver(service.url, paidCheckout({ agentId }));

test('orders beyond the limit wait visibly, and an approval lets them go', async () => {
  expect((await json('/api/breakers')).body.items.map((item) => item.name)).toEqual([
    'creates',
    'destroys',
    'spend',
    'suspensions',
  ]);
  expect(await breaker('creates')).toMatchObject({ tripped: false, used: 0, allowed: 2, waiting: 0 });
  expect((await json('/api/breakers/creates/approve', { json: {} })).status).toBe(409);

  for (const agentId of ['b1', 'b2', 'b3', 'b4', 'b5']) expect((await buy(agentId)).status).toBe(200);
  expect(await breaker('creates')).toMatchObject({
    tripped: true,
    trippedAt: '2027-01-01T00:00:00.000Z',
    cause: 'The service creates at most 2 within an hour. It has done so 2 times, and more is due.',
    approvedAt: null,
    used: 2,
    waiting: 3,
    approved: 0,
  });
  expect((await json('/api/agents/b3')).body).toMatchObject({ status: 'requested' });
  expect((await json('/api/orders?attention=false')).body.items).toHaveLength(5);
  const first = (await json('/api/breakers/creates/changes?limit=2')).body;
  expect(first.items).toEqual([
    {
      agentId: 'b3',
      kind: 'provision',
      cause: 'A customer has paid for it.',
      since: '2027-01-01T00:00:00.000Z',
      approved: false,
    },
    expect.objectContaining({ agentId: 'b4' }),
  ]);
  const second = (await json(`/api/breakers/creates/changes?limit=2&cursor=${first.nextCursor}`)).body;
  expect(second).toEqual({ items: [expect.objectContaining({ agentId: 'b5' })], nextCursor: null });
  expect((await json('/api/attention')).body).toEqual({
    items: [
      {
        class: 'breaker',
        since: '2027-01-01T00:00:00.000Z',
        agentId: null,
        cause: expect.stringContaining('3 changes wait'),
        cure: expect.stringContaining('approve creates'),
      },
    ],
    nextCursor: null,
  });
  const metrics = await (await service.ask('/metrics')).text();
  expect(metrics).toContain('agent_stacks_breaker_tripped{breaker="creates"} 1\n');
  expect(metrics).toContain('agent_stacks_breaker_waiting{breaker="creates"} 3\n');
  expect(metrics).toContain('agent_stacks_breaker_tripped{breaker="destroys"} 0\n');
  expect(metrics).not.toContain('breaker_allowed{breaker="spend"}');

  const approval = await json('/api/breakers/creates/approve', { json: { count: 1 } });
  expect(approval).toMatchObject({ status: 200, body: { tripped: true, waiting: 3, approved: 1 } });
  now = new Date('2027-01-01T01:00:00Z');
  expect(await releaseHeld({ ...service.deps, clock })).toBe(1);
});

test('what is wrong is refused', async () => {
  expect((await json('/api/breakers/everything/approve', { json: {} })).status).toBe(404);
  expect((await json('/api/breakers/everything/changes')).status).toBe(404);
  for (const count of [0, -1, 1.5, '5', null, 2_000_000])
    expect((await json('/api/breakers/creates/approve', { json: { count } })).status).toBe(400);
  expect((await json('/api/breakers/creates/approve', { json: { counts: 1 } })).status).toBe(400);
  for (const list of ['attention', 'breakers/creates/changes'])
    expect((await json(`/api/${list}?cursor=abc`)).status).toBe(400);
});
