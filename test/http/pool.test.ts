import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startService, type TestService } from '../support/http-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

test('API, metrics and attention show the pools', async () => {
  expect(await (await service.ask('/api/pool')).json()).toEqual({ items: [], hits: 0, misses: 0 });
  await sql`insert into pools (project, location, plan, size, fingerprint, error, paused_until)
    values ('default', 'fsn1', 'starter', 2, 'f', 'no capacity', now() + interval '15 minutes')`.execute(
    service.database,
  );
  await sql`insert into pool_demands (worker_id, project, location, plan, size, fingerprint)
    values ('w1', 'default', 'fsn1', 'starter', 2, 'f')`.execute(service.database);
  await service.ask('/api/agents', {
    json: { agentId: 'a1', userId: 'u1', region: 'eu-west', plan: 'starter' },
  });
  await sql`insert into slots (slot_id, project, location, plan, fingerprint)
    values (${`slot-${'0'.repeat(24)}`}, 'default', 'fsn1', 'starter', 'f')`.execute(service.database);
  const createdAt = expect.stringMatching(/^\d{4}-.*Z$/);
  const slot = { slotId: `slot-${'0'.repeat(24)}`, project: 'default', location: 'fsn1', plan: 'starter' };
  expect(await (await service.ask('/api/pool')).json()).toEqual({
    items: [{ ...slot, status: 'preparing', release: null, healthyAt: null, createdAt }],
    hits: 0,
    misses: 1,
  });
  await sql`update slots set status = 'removing', inputs = '{"configurationVersion": "v1"}',
    checked_at = now()`.execute(service.database);
  expect(await (await service.ask('/api/pool')).json()).toMatchObject({
    items: [{ status: 'retired', release: 'v1', healthyAt: createdAt }],
  });
  const metrics = await (await service.ask('/metrics')).text();
  for (const line of ['pool_size', 'pool_misses_total', 'pool_ready'])
    expect(metrics).toMatch(
      new RegExp(`^agent_stacks_${line}\\{project="default",location="fsn1",plan="starter"\\} \\d`, 'm'),
    );
  const { items } = (await (await service.ask('/api/attention')).json()) as { items: { cause: string }[] };
  expect(items).toMatchObject([{ class: 'configuration', cause: expect.stringContaining('no capacity') }]);
});

test('a service without the clouds’ keys removes no server that it does not know', async () => {
  const answer = await service.ask(`/api/pool/slot-${'0'.repeat(24)}/remove`, { json: {} });
  expect(answer.status).toBe(409);
  expect(((await answer.json()) as { detail: string }).detail).toContain('no access to the clouds');
  expect((await service.ask('/api/pool/slot-1/remove', { json: {} })).status).toBe(404);
});
