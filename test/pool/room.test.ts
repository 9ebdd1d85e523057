import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { createVault } from '../../src/agents/secrets.ts';
import { DEFAULT_LIMITS } from '../../src/config/limits.ts';
import { createDatabase, createPool } from '../../src/database/connect.ts';
import { applyLimits } from '../../src/limits/apply-limits.ts';
import { planSlots } from '../../src/pool/plan-slots.ts';
import { applyProjects } from '../../src/projects/projects.ts';
import { listAttention } from '../../src/reconcile/attention.ts';
import { Secret } from '../../src/secret.ts';
import { giveSlotUp } from '../../src/slots/claimed.ts';
import { recordDemands, withdrawDemands } from '../../src/slots/demands.ts';
import { NOT_HANDED_OVER } from '../../src/slots/failures.ts';
import { type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';
import { addSlot, FINGERPRINT } from '../support/slots.ts';

const vault = createVault(new Secret('passphrase'));
let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  await sql`delete from changes`.execute(at.database);
  await sql`delete from server_prices`.execute(at.database);
  await applyLimits(at.database, DEFAULT_LIMITS, {});
  await mostServers();
});

const mostServers = (most?: number) =>
  applyProjects(at.database, [{ name: 'default', locations: undefined, mostServers: most }]);
const priceServers = () =>
  sql`insert into server_prices (server_type, location, euros_per_hour, fetched_at)
  values ('cx23', 'nbg1', 0.01, now())`.execute(at.database);
async function plan(size: number, { euros, workerId = 'w1' }: { euros?: number; workerId?: string } = {}) {
  const wanted = { project: 'default', location: 'nbg1', plan: 'starter', size, fingerprint: FINGERPRINT };
  await recordDemands(at.database, workerId, [wanted], euros);
  return (await planSlots(at.database)).added;
}
const pool = () =>
  at.database.selectFrom('pools').select(['error', 'paused_until']).executeTakeFirstOrThrow();
const FINE = { error: null, paused_until: null };
const saying = (why: string) => ({ error: expect.stringContaining(why), paused_until: null });
const told = async () => (await listAttention(at.database, { limit: 50 })).map(({ cause }) => cause);

test('a pool above the number of its project is filled so far, Attention says why, and it ends by itself', async () => {
  await mostServers(2);
  expect(await plan(3)).toBe(2);
  expect(await pool()).toEqual(saying('HCLOUD_PROJECTS'));
  expect(await plan(3)).toBe(0);
  expect(await told()).toEqual([expect.stringMatching(/wait in nbg1 for plan starter: .*HCLOUD_PROJECTS/)]);
  const [first] = await listAttention(at.database, { limit: 50 });
  await plan(3);
  expect((await listAttention(at.database, { limit: 50 }))[0]!.since).toEqual(first!.since);
  await mostServers(3);
  expect(await plan(3)).toBe(1);
  expect(await pool()).toEqual(FINE);
  expect(await told()).toEqual([]);
});

test.each([0, 2])('used-up creates (%i an hour) are told, and end by themselves', async (createsPerHour) => {
  await applyLimits(at.database, { ...DEFAULT_LIMITS, createsPerHour }, {});
  expect(await plan(3)).toBe(createsPerHour);
  expect(await pool()).toEqual(saying(`LIMIT_CREATES_PER_HOUR is ${createsPerHour}`));
  expect(await plan(3)).toBe(0);
  expect(await told()).toEqual([expect.stringContaining('LIMIT_CREATES_PER_HOUR')]);
  await applyLimits(at.database, DEFAULT_LIMITS, {});
  expect(await plan(3)).toBe(3 - createsPerHour);
  expect(await pool()).toEqual(FINE);
});

test('an error ends where nothing is missing any more', async () => {
  await mostServers(1);
  await plan(2);
  expect((await pool()).error).not.toBeNull();
  await plan(1);
  expect(await pool()).toEqual(FINE);
});

test('a pool below a tripped breaker, unknown prices or a ceiling is filled as soon as there is room', async () => {
  await sql`update breakers set tripped_at = now(), cause = 'x' where name = 'creates'`.execute(at.database);
  expect(await plan(1)).toBe(0);
  expect(await pool()).toEqual(saying('creates has tripped'));
  await sql`update breakers set tripped_at = null, cause = null`.execute(at.database);
  expect(await plan(1, { euros: 0.005 })).toBe(0);
  expect(await pool()).toEqual(saying('not known'));
  await priceServers();
  expect(await plan(1, { euros: 0.005 })).toBe(0);
  expect(await pool()).toEqual(saying('may cost €0.005'));
  expect(await plan(1, { euros: 0.01 })).toBe(1);
  expect(await pool()).toEqual(FINE);
});

test('the lowest ceiling of all workers that want slots counts, whoever plans', async () => {
  await priceServers();
  await plan(0, { euros: 0.02, workerId: 'w1' });
  expect(await plan(3, { workerId: 'w2' })).toBe(2);
  expect(await plan(3, { euros: 1, workerId: 'w3' })).toBe(0);
  expect(await pool()).toEqual(saying('may cost €0.02'));
  await withdrawDemands(at.database, 'w1');
  expect(await plan(3, { workerId: 'w2' })).toBe(1);
});

test('a server whose removal has failed counts, and one that is replaced does not', async () => {
  await priceServers();
  const leaving = await addSlot(at, vault, { status: 'removing' });
  await sql`update slots set tries = 1`.execute(at.database);
  expect(await plan(1, { euros: 0.01 })).toBe(0);
  expect(await pool()).toEqual(saying('may cost €0.01'));
  await applyLimits(at.database, { ...DEFAULT_LIMITS, eurosPerHour: 0.01 }, {});
  expect(await plan(1, { euros: 1 })).toBe(0);
  expect(await pool()).toEqual(saying('more than €0.01'));
  await sql`update slots set tries = 0 where slot_id = ${leaving}`.execute(at.database);
  expect(await plan(1, { euros: 0.01 })).toBe(1);
});

test('a removal that failed without a server counts for nothing', async () => {
  await priceServers();
  await addSlot(at, vault, { status: 'removing' });
  await sql`update slots set tries = 1, inputs = null, server_id = null`.execute(at.database);
  expect(await plan(1, { euros: 0.01 })).toBe(1);
});

test('slots count as failed by when they failed, however long they had waited', async () => {
  for (const agentId of ['a1', 'a2', 'a3']) {
    const slotId = await addSlot(at, vault);
    await order(at, agentId);
    await sql`update slots set created_at = now() - interval '1 day', status = 'claimed', agent_id = ${agentId}
      where slot_id = ${slotId}`.execute(at.database);
    await at.database.transaction().execute((trx) => giveSlotUp(trx, agentId, 'no answer', NOT_HANDED_OVER));
  }
  expect(await plan(1)).toBe(0);
  expect(await pool()).toMatchObject({
    error: expect.stringContaining('The last one: no answer'),
    paused_until: expect.any(Date),
  });
  await sql`update pools set error = null, paused_until = null`.execute(at.database);
  // Their removals may be tried for long.
  await sql`update slots set failed_at = now() - interval '2 hours', updated_at = now()`.execute(at.database);
  expect(await plan(1)).toBe(1);
});

test('what is looked at every second is found by index, however many slots there have been', async () => {
  await sql`insert into slots (slot_id, project, location, plan, fingerprint, status, created_at, updated_at, ended_at)
    select 'slot-' || lpad(to_hex(n), 24, '0'), 'default', 'nbg1', 'starter', 'f', 'removed',
      now() - interval '1 year' + n * interval '10 minutes', now(), now()
    from generate_series(1, 20000) n`.execute(at.database);
  await sql`vacuum analyze slots`.execute(at.database);
  await addSlot(at, vault);
  // Postgres counts what a session has read once that is asked for in the same session.
  const alone = createDatabase(createPool(new Secret(at.url), 1, 'counting'));
  onTestFinished(() => alone.destroy());
  const countRead = async () => {
    await sql`select pg_stat_force_next_flush()`.execute(alone);
    const { rows } = await sql<{ n: number }>`select (seq_tup_read + coalesce(idx_tup_fetch, 0))::int as n
      from pg_stat_user_tables where relname = 'slots'`.execute(alone);
    return rows[0]!.n;
  };
  await plan(2);
  const before = await countRead();
  for (let look = 0; look < 5; look++) await planSlots(alone);
  expect((await countRead()) - before).toBeLessThan(2_000);
});
