import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createVault } from '../../src/agents/secrets.ts';
import { LIMIT_REACHED } from '../../src/errors.ts';
import { Secret } from '../../src/secret.ts';
import { renewSlotLease, takeSlotWork } from '../../src/slots/slots.ts';
import { type OperationsFixture, openOperations } from '../support/operations-fixture.ts';
import { askForRoom, begin, orderWithoutRoom } from '../support/room.ts';
import { addPool, addSlot, FINGERPRINT, slot } from '../support/slots.ts';

const vault = createVault(new Secret('passphrase'));
let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(() => at.empty());

const pool = () =>
  at.database.selectFrom('pools').select(['error', 'paused_until']).executeTakeFirstOrThrow();
const statuses = async () =>
  (await at.database.selectFrom('slots').select('status').orderBy('ready_at').execute()).map(
    (row) => row.status,
  );
const change = (slotId: string, changes: object) =>
  at.database.updateTable('slots').set(changes).where('slot_id', '=', slotId).execute();

/** A slot that is being made, and of whose server nothing is known yet. */
async function addMaking(changes: object = {}): Promise<string> {
  const slotId = await addSlot(at, vault);
  await change(slotId, { status: 'making', server_id: null, ready_at: null, ...changes });
  return slotId;
}

test('the oldest slot makes room for an order, and the pool is not filled meanwhile', async () => {
  const { operationId } = await begin(at, 'a1');
  await addPool(at, 2);
  const first = await addSlot(at, vault);
  const second = await addSlot(at, vault);
  expect(await askForRoom(at, operationId)).toBe(true);
  expect((await slot(at, first)).status).toBe('removing');
  // The place of the first one is about to be free.
  expect(await askForRoom(at, operationId)).toBe(true);
  expect((await slot(at, second)).status).toBe('ready');
  const { error, paused_until: until } = await pool();
  expect(error).toMatch(/as many servers as it may have/);
  expect(until!.getTime()).toBeGreaterThan(Date.now() + 10 * 60_000);
});

test('as many slots make room as operations wait for it, also those that ask at the same time', async () => {
  for (let made = 0; made < 5; made++) await addSlot(at, vault);
  await orderWithoutRoom(at, 'a1');
  const others = [await begin(at, 'a2'), await begin(at, 'a3'), await begin(at, 'a4')];
  await Promise.all(others.map(({ operationId }) => askForRoom(at, operationId)));
  expect(await statuses()).toEqual(['removing', 'removing', 'removing', 'removing', 'ready']);
});

test('an operation that has begun again, or has ended, needs no further place', async () => {
  for (let made = 0; made < 3; made++) await addSlot(at, vault);
  const waiting = await orderWithoutRoom(at, 'a1');
  await at.database
    .updateTable('operations')
    .set({ attempt: sql`attempt + 1` })
    .where('operation_id', '=', waiting)
    .execute();
  await at.database
    .updateTable('operations')
    .set({ status: 'cancelled', finished_at: sql<Date>`now()` })
    .where('operation_id', '=', await orderWithoutRoom(at, 'a2'))
    .execute();
  expect(await askForRoom(at, (await begin(at, 'a3')).operationId)).toBe(true);
  expect(await statuses()).toEqual(['removing', 'ready', 'ready']);
});

test('without a slot there is no room to make', async () => {
  await addPool(at, 1);
  expect(await askForRoom(at, (await begin(at, 'a1')).operationId)).toBe(false);
});

test.each([
  ['has failed', { tries: 1 }],
  ['frees no place', { inputs: null, server_id: null }],
])('a removal that %s makes no room: the next slot does', async (_, changes) => {
  const leaving = await addSlot(at, vault, { status: 'removing' });
  await change(leaving, changes);
  const ready = await addSlot(at, vault);
  expect(await askForRoom(at, (await begin(at, 'a1')).operationId)).toBe(true);
  expect((await slot(at, ready)).status).toBe('removing');
});

test('a removal that is stuck makes no room either, however often its lease is renewed', async () => {
  const leaving = await addSlot(at, vault, { status: 'removing' });
  const ready = await addSlot(at, vault);
  await change(leaving, { removing_since: sql`now() - interval '3 minutes'` });
  const taken = await takeSlotWork(at.database, 'w9', 30, { fingerprints: [] });
  await renewSlotLease(at.database, { slotId: leaving, attempt: taken!.attempt, workerId: 'w9' }, 30);
  expect(await askForRoom(at, (await begin(at, 'a1')).operationId)).toBe(true);
  expect((await slot(at, ready)).status).toBe('removing');
});

test('the order waits as long as a slot that could not be removed may have a server', async () => {
  const leaving = await addSlot(at, vault, { status: 'removing' });
  await change(leaving, { tries: 3 });
  expect(await askForRoom(at, (await begin(at, 'a1')).operationId)).toBe(true);
});

test('a slot that is being made is given up if none waits, and its attempt is over', async () => {
  const making = await addMaking();
  const taken = await takeSlotWork(at.database, 'w9', 30, { fingerprints: [FINGERPRINT] });
  const attempt = taken!.attempt;
  expect(await askForRoom(at, (await begin(at, 'a1')).operationId)).toBe(true);
  expect(await slot(at, making)).toMatchObject({
    status: 'removing',
    attempt: attempt + 1,
    worker_id: null,
    tries: 0,
    failure_code: null,
  });
  const late = renewSlotLease(at.database, { slotId: making, attempt, workerId: 'w9' }, 30);
  await expect(late).rejects.toThrow('no longer ours');
  // Its attempt may be at work until then: what it creates must not come after the removal.
  expect((await slot(at, making)).run_after).toEqual(taken!.lease_until);
});

test('one that waits makes room before one that is being made', async () => {
  const making = await addMaking();
  const ready = await addSlot(at, vault);
  expect(await askForRoom(at, (await begin(at, 'a1')).operationId)).toBe(true);
  expect([(await slot(at, making)).status, (await slot(at, ready)).status]).toEqual(['making', 'removing']);
});

test.each([
  ['nothing was recorded', { inputs: null }],
  ['Hetzner has refused the server', { failure_code: LIMIT_REACHED }],
])('a slot of which %s has no place to give', async (_, changes) => {
  const making = await addMaking(changes);
  expect(await askForRoom(at, (await begin(at, 'a1')).operationId)).toBe(false);
  expect((await slot(at, making)).status).toBe('making');
});

test('a pool that is empty now is not filled meanwhile either', async () => {
  await addPool(at, 0);
  await askForRoom(at, (await begin(at, 'a1')).operationId);
  expect((await pool()).paused_until!.getTime()).toBeGreaterThan(Date.now());
});
