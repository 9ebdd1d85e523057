import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createExpectedSeconds } from '../../src/operations/expected.ts';
import { type OperationsFixture, openOperations } from '../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
let now = 0;
let readExpectedSeconds: ReturnType<typeof createExpectedSeconds>;
beforeEach(async () => {
  await at.empty();
  readExpectedSeconds = createExpectedSeconds(at.database, () => now);
});

/** Provisions that took so many seconds. */
async function provisions(plan: string, seconds: readonly number[]): Promise<void> {
  await sql`insert into agents (agent_id, user_id, region, location, plan)
    select ${plan} || n, 'u', 'eu-west', 'fsn1', ${plan} from generate_series(1, ${seconds.length}::int) n`.execute(
    at.database,
  );
  await sql`insert into operations (agent_id, kind, status, executor, created_at, finished_at)
    select ${plan} || n, 'provision', 'succeeded', 'local', now() - interval '1 hour',
      now() - interval '1 hour' + make_interval(secs => s)
    from unnest(${[...seconds]}::float8[]) with ordinality as t (s, n)`.execute(at.database);
}

test('the median and the 95th percentile of its plan, and nothing from too few', async () => {
  await provisions('starter', [40, 42, 44, 100]);
  await provisions('pro', [400, 420]);
  const expected = await readExpectedSeconds({ agentId: 'starter1', plan: 'starter' });
  expect(expected).toEqual({ way: 'cold', count: 4, median: 43, slow: expect.closeTo(91.6, 1) });
  expect(await readExpectedSeconds({ agentId: 'pro1', plan: 'pro' })).toBeUndefined();
});

test('those with a server that waited are compared with their like', async () => {
  await provisions('starter', [40, 42, 44, 0.3, 0.4, 0.5]);
  await sql`insert into slots (slot_id, project, location, plan, fingerprint, status, agent_id, served_by, served_at)
    select 'slot-' || encode(sha256(o.agent_id::bytea), 'hex')::varchar(24), 'default', 'fsn1', 'starter', 'f', 'adopted',
      o.agent_id, o.operation_id, now()
    from operations o where o.finished_at - o.created_at < interval '2 seconds'`.execute(at.database);
  const warm = await readExpectedSeconds({ agentId: 'starter4', plan: 'starter' });
  expect(warm).toMatchObject({ way: 'warm', count: 3, median: expect.closeTo(0.4, 3) });
  const cold = await readExpectedSeconds({ agentId: 'starter1', plan: 'starter' });
  expect(cold).toMatchObject({ way: 'cold', count: 3, median: 42 });
});

test('an answer is kept for a minute, for each plan and way', async () => {
  await provisions('starter', [40, 42, 44]);
  const ask = () => readExpectedSeconds({ agentId: 'starter1', plan: 'starter' });
  expect((await Promise.all([ask(), ask()])).map((one) => one?.median)).toEqual([42, 42]);
  await sql`update operations set finished_at = finished_at + interval '1 minute'`.execute(at.database);
  now += 59_000;
  expect((await ask())?.median).toBe(42);
  expect(await readExpectedSeconds({ agentId: 'starter1', plan: 'pro' })).toBeUndefined();
  now += 1_000;
  expect((await ask())?.median).toBe(102);
});
