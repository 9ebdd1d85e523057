import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createVault } from '../../src/agents/secrets.ts';
import { Secret } from '../../src/secret.ts';
import { makeRoom } from '../../src/slots/make-room.ts';
import { type OperationsFixture, openOperations } from '../support/operations-fixture.ts';
import { addPool, addSlot, slot } from '../support/slots.ts';

const vault = createVault(new Secret('passphrase'));
let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(() => at.empty());

const pool = () =>
  at.database.selectFrom('pools').select(['error', 'paused_until']).executeTakeFirstOrThrow();

test('the oldest slot makes room, one at a time, and the pool is not filled meanwhile', async () => {
  await addPool(at, 2);
  const first = await addSlot(at, vault);
  const second = await addSlot(at, vault);
  expect(await makeRoom(at.database, 'default')).toBe(true);
  expect((await slot(at, first)).status).toBe('removing');
  // The place of the first one is about to be free.
  expect(await makeRoom(at.database, 'default')).toBe(true);
  expect((await slot(at, second)).status).toBe('ready');
  const { error, paused_until: until } = await pool();
  expect(error).toMatch(/as many servers as it may have/);
  expect(until!.getTime()).toBeGreaterThan(Date.now() + 10 * 60_000);
});

test('without a slot that waits there is no room to make', async () => {
  await addPool(at, 1);
  expect(await makeRoom(at.database, 'default')).toBe(false);
});

test.each([
  ['has failed', { tries: 1 }],
  ['is stuck', { updated_at: sql<Date>`now() - interval '3 minutes'` }],
  ['frees no place', { inputs: null, server_id: null }],
])('a removal that %s makes no room: the next slot does', async (_, changes) => {
  await addPool(at, 2);
  const leaving = await addSlot(at, vault, { status: 'removing' });
  await at.database.updateTable('slots').set(changes).where('slot_id', '=', leaving).execute();
  const ready = await addSlot(at, vault);
  expect(await makeRoom(at.database, 'default')).toBe(true);
  expect((await slot(at, ready)).status).toBe('removing');
});

test('without one that could be removed there is no room', async () => {
  const leaving = await addSlot(at, vault, { status: 'removing' });
  await at.database.updateTable('slots').set({ tries: 3 }).where('slot_id', '=', leaving).execute();
  expect(await makeRoom(at.database, 'default')).toBe(false);
});

test('a pool that is empty now is not filled meanwhile either', async () => {
  await addPool(at, 0);
  await makeRoom(at.database, 'default');
  expect((await pool()).paused_until!.getTime()).toBeGreaterThan(Date.now());
});
