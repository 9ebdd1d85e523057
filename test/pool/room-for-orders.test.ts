import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { DEFAULT_LIMITS } from '../../src/config/limits.ts';
import { NO_POOL } from '../../src/config/pool.ts';
import { RetryableError } from '../../src/errors.ts';
import { applyLimits } from '../../src/limits/apply-limits.ts';
import type { Claim } from '../../src/operations/claims.ts';
import { fingerprintFor } from '../../src/pool/fingerprint.ts';
import { type KeeperDeps, startPoolKeeper } from '../../src/pool/keeper.ts';
import { noFence } from '../../src/pulumi/fence.ts';
import { Secret } from '../../src/secret.ts';
import { insertSlots } from '../../src/slots/slots.ts';
import {
  announcements,
  type OperationsFixture,
  openOperations,
  operation,
} from '../support/operations-fixture.ts';
import { askForRoom, begin, orderWithoutRoom, queueForRoom } from '../support/room.ts';
import { createRunbookFixture, type RunbookFixture } from '../support/runbook-fixture.ts';
import { addSlot, slot } from '../support/slots.ts';

const WAIT = { timeout: 20_000 };
let at: OperationsFixture;
let fixture: RunbookFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  await at.database.deleteFrom('changes').execute();
  await applyLimits(at.database, DEFAULT_LIMITS, {});
  fixture = createRunbookFixture(at);
});

function keeper(size: number, refills = NO_POOL.refills): KeeperDeps {
  const entry = { project: undefined, location: 'nbg1', plan: 'starter' as const, size, hours: undefined };
  return {
    database: at.database,
    queue: at.queue,
    parts: fixture.deps,
    fence: noFence(new Secret('postgres://state')),
    leaseSeconds: 30,
    log: at.log,
    pool: { ...NO_POOL, entries: size === 0 ? [] : [entry], refills },
    workerId: 'w1',
    canReach: async () => true,
  };
}

const POOL = { project: 'default', location: 'nbg1', plan: 'starter' };
const addMaking = (count: number) =>
  insertSlots(at.database, { ...POOL, fingerprint: fingerprintFor(fixture.deps.settings, POOL) }, count);
const isRemoved = async (slotId: string) => expect((await slot(at, slotId)).status).toBe('removed');
const isDue = async (operationId: string) => {
  const { status, run_after: at_ } = await operation(at, operationId);
  return status === 'queued' && at_.getTime() <= Date.now();
};

/** Lets the keeper remove this slot, which the test has put into `removing`. */
async function letRemove(slotId: string): Promise<void> {
  const running = startPoolKeeper(keeper(0), 0.05);
  await vi.waitFor(() => isRemoved(slotId), WAIT);
  await running.stop();
}

test('an order that waits for room is due as soon as a slot is removed, one for each place', async () => {
  const leaving = await addSlot(at, fixture.vault, { status: 'removing' });
  const first = await orderWithoutRoom(at, 'a1');
  const second = await orderWithoutRoom(at, 'a2');
  const told = (await announcements(at)).length;
  expect([await isDue(first), await isDue(second)]).toEqual([false, false]);
  await letRemove(leaving);
  expect([await isDue(first), await isDue(second)]).toEqual([true, false]);
  const ids = (await announcements(at)).map(({ operationId }) => operationId);
  expect(ids).toHaveLength(told + 1);
  expect(ids.filter((id) => id === first)).toHaveLength(2);
  // The first one has not begun yet: the next place is the second one's.
  await letRemove(await addSlot(at, fixture.vault, { status: 'removing' }));
  expect(await isDue(second)).toBe(true);
});

test('each of many orders that come at once is due once the slots are removed', async () => {
  const begun: Claim[] = [];
  for (const agentId of ['a1', 'a2', 'a3', 'a4', 'a5']) begun.push(await begin(at, agentId));
  for (let made = 0; made < 5; made++) await addSlot(at, fixture.vault);
  await Promise.all(begun.map(({ operationId }) => askForRoom(at, operationId)));
  for (const mine of begun) await queueForRoom(at, mine);
  const running = startPoolKeeper(keeper(0), 0.05);
  await vi.waitFor(async () => {
    for (const { operationId } of begun) expect(await isDue(operationId)).toBe(true);
  }, WAIT);
  await running.stop();
});

test('a slot that never had a server frees no place', async () => {
  const leaving = await addSlot(at, fixture.vault, { status: 'removing' });
  await at.database.updateTable('slots').set({ inputs: null, server_id: null }).execute();
  const waiting = await orderWithoutRoom(at, 'a1');
  await letRemove(leaving);
  expect(await isDue(waiting)).toBe(false);
});

test('a slot that is removed before the order is queued again is not missed', async () => {
  const leaving = await addSlot(at, fixture.vault, { status: 'removing' });
  const mine = await begin(at, 'a1');
  await askForRoom(at, mine.operationId);
  await letRemove(leaving);
  await queueForRoom(at, mine);
  expect(await isDue(mine.operationId)).toBe(true);
});

test('an order that waits for room in another project gets nothing of this one', async () => {
  const leaving = await addSlot(at, fixture.vault, { status: 'removing' });
  const waiting = await orderWithoutRoom(at, 'a1');
  await sql`update agents set project = 'us'`.execute(at.database);
  await letRemove(leaving);
  expect(await isDue(waiting)).toBe(false);
});

test('a removal begins while all places for refills are taken', async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { up } = fixture.executor;
  fixture.executor.up = async (...args) => {
    await released;
    return up(...args);
  };
  await addMaking(1);
  const running = startPoolKeeper(keeper(1, 1), 0.05);
  const atWork = () =>
    at.database.selectFrom('slots').select('slot_id').where('lease_until', 'is not', null).execute();
  await vi.waitFor(async () => expect(await atWork()).toHaveLength(1), WAIT);
  const leaving = await addSlot(at, fixture.vault, { status: 'removing' });
  await vi.waitFor(() => isRemoved(leaving), WAIT);
  release();
  await running.stop();
});

test('no more slots are made at once than POOL_REFILLS says, whatever ends together', async () => {
  let atWork: (() => void)[] = [];
  let isOver = false;
  const { up } = fixture.executor;
  fixture.executor.up = async (run, program, options) => {
    if (program.stack === 'foundation') return up(run, program, options);
    if (!isOver) await new Promise<void>((resolve) => atWork.push(resolve));
    throw new RetryableError('it does not work');
  };
  await addMaking(12);
  const running = startPoolKeeper(keeper(12, 2), 0.05);
  const most: number[] = [];
  for (let round = 1; round <= 4; round++) {
    await vi.waitFor(() => expect(atWork.length).toBeGreaterThanOrEqual(2), WAIT);
    // A look at which more could be begun has ended.
    await looks(2);
    most.push(atWork.length);
    const together = atWork;
    atWork = [];
    for (const end of together) end();
  }
  isOver = true;
  const stopped = running.stop();
  for (const end of atWork) end();
  await stopped;
  expect(most).toEqual([2, 2, 2, 2]);
});

/** Waits until the keeper has looked so many times more. */
async function looks(count: number): Promise<void> {
  const seenAt = async () =>
    (await at.database.selectFrom('pool_demands').select('seen_at').executeTakeFirst())?.seen_at.getTime();
  for (let look = 1; look <= count; look++) {
    const before = await seenAt();
    await vi.waitFor(async () => expect(await seenAt()).not.toBe(before), WAIT);
  }
}

test('a slot that was given up is removed once its attempt has ended, not only when its lease runs out', async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { up } = fixture.executor;
  fixture.executor.up = async (...args) => {
    await released;
    return up(...args);
  };
  await addMaking(1);
  const deps = { ...keeper(1), leaseSeconds: 3_600 };
  const running = startPoolKeeper(deps, 0.05);
  const making = () => at.database.selectFrom('slots').selectAll().executeTakeFirstOrThrow();
  await vi.waitFor(async () => expect((await making()).lease_until).not.toBeNull(), WAIT);
  const { slot_id: slotId } = await making();
  // As if its server were about to be made.
  await at.database.updateTable('slots').set({ inputs: sql`'{}'::jsonb` }).execute();
  const mine = await begin(at, 'a1');
  expect(await askForRoom(at, mine.operationId)).toBe(true);
  await queueForRoom(at, mine);
  expect(await slot(at, slotId)).toMatchObject({ status: 'removing', worker_id: null });
  await at.database.updateTable('slots').set({ inputs: null }).execute();
  release();
  await vi.waitFor(() => isRemoved(slotId), WAIT);
  await running.stop();
});

test('no refill is begun while an order for which a place was freed has not begun', async () => {
  const leaving = await addSlot(at, fixture.vault, { status: 'removing' });
  await orderWithoutRoom(at, 'a1');
  await letRemove(leaving);
  // Not even in another project: it would take processor time.
  await sql`update agents set project = 'us'`.execute(at.database);
  const running = startPoolKeeper(keeper(1), 0.05);
  const statuses = async () =>
    (await at.database.selectFrom('slots').select('status').orderBy('status').execute()).map(
      ({ status }) => status,
    );
  await sql`update pools set paused_until = null`.execute(at.database);
  await vi.waitFor(async () => expect(await statuses()).toEqual(['making', 'removed']), WAIT);
  await running.stop();
  expect(fixture.calls).not.toContain('up agent new');
});
