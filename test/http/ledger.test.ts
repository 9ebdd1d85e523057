import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { toLedger } from '../../src/operations/ledger.ts';
import { startService, type TestService } from '../support/http-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const at = (milliseconds: number) => new Date(Date.UTC(2026, 0, 1) + milliseconds);
const operation = {
  operation_id: 'o1',
  status: 'succeeded' as const,
  created_at: at(5),
  finished_at: at(9_876),
};

test('the steps of all tries add up to the time from the event to the running agent', () => {
  const steps = [
    { step: 'creating_server', at: at(105) },
    { step: 'queued', at: at(4_105) },
    { step: 'creating_server', at: at(6_105) },
    { step: 'running', at: at(9_800) },
    { step: 'finished', at: at(9_876) },
  ];
  const ledger = toLedger(operation, { way: 'cold', receivedAt: at(0), steps });
  expect(ledger).toMatchObject({ orderedAt: at(0), runningAt: at(9_876), seconds: 9.876 });
  expect(ledger.steps).toEqual([
    { step: 'received', seconds: 0.005 },
    { step: 'queued', seconds: 2.1 },
    { step: 'creating_server', seconds: 7.695 },
    { step: 'running', seconds: 0.076 },
  ]);
  expect(ledger.steps.reduce((sum, { seconds }) => sum + seconds, 0)).toBeCloseTo(9.876, 6);
});

test('what is under way or has failed has no total', () => {
  const ledger = (status: 'active' | 'failed', finished: Date | null) =>
    toLedger(
      { ...operation, status, finished_at: finished },
      { way: 'cold', receivedAt: null, steps: [{ step: 'creating_server', at: at(105) }] },
    );
  expect(ledger('active', null)).toMatchObject({
    orderedAt: at(5),
    runningAt: null,
    seconds: null,
    steps: [
      { step: 'received', seconds: 0 },
      { step: 'queued', seconds: 0.1 },
    ],
  });
  expect(ledger('failed', at(9_000))).toMatchObject({ runningAt: null, seconds: null });
});

test('API, page and metrics say where the time went', async () => {
  const { database } = service;
  expect((await service.ask('/api/agents/a1/ledger')).status).toBe(404);
  await service.ask('/api/agents', { json: { agentId: 'a1', userId: 'u1', region: 'eu-west' } });
  await sql`insert into operation_events (operation_id, sequence, attempt, type, data, at)
    select operation_id, 100 + s, 1, 'step', jsonb_build_object('step', v.step), created_at + make_interval(secs => s)
    from operations, (values ('creating_server', 1), ('configuring', 3), ('finished', 7)) as v (step, s)`.execute(
    database,
  );
  await sql`update operations set status = 'succeeded', attempt = 1, step = null, started_at = created_at,
    finished_at = created_at + interval '7 seconds'`.execute(database);
  const answer = await service.ask('/api/agents/a1/ledger');
  expect(await answer.json()).toMatchObject({
    agentId: 'a1',
    way: 'cold',
    seconds: 7,
    steps: [
      { step: 'received', seconds: 0 },
      { step: 'queued', seconds: 1 },
      { step: 'creating_server', seconds: 2 },
      { step: 'configuring', seconds: 4 },
    ],
  });
  const metrics = await (await service.ask('/metrics')).text();
  for (const line of [
    'running_seconds_bucket{way="cold",le="5"} 0',
    'running_seconds_bucket{way="cold",le="10"} 1',
    'running_seconds_sum{way="cold"} 7',
    'running_seconds_count{way="warm"} 0',
    'running_step_seconds{way="cold",step="configuring"} 4',
  ])
    expect(metrics).toContain(`agent_stacks_${line}\n`);
});
