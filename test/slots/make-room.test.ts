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
  expect(await makeRoom(at.database)).toBe(true);
  expect((await slot(at, first)).status).toBe('removing');
  // The place of the first one is about to be free.
  expect(await makeRoom(at.database)).toBe(true);
  expect((await slot(at, second)).status).toBe('ready');
  const { error, paused_until: until } = await pool();
  expect(error).toMatch(/as many servers as it may have/);
  expect(until!.getTime()).toBeGreaterThan(Date.now() + 10 * 60_000);
});

test('without a slot that waits there is no room to make', async () => {
  await addPool(at, 1);
  expect(await makeRoom(at.database)).toBe(false);
});
