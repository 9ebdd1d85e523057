import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { takeSlotWork } from '../../src/slots/slots.ts';
import { type OperationsFixture, openOperations } from '../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(() => at.empty());

async function add(status: 'making' | 'removing', fingerprint: string): Promise<string> {
  const slot_id = `slot-${randomBytes(12).toString('hex')}`;
  const pool = { project: 'default', location: 'nbg1', plan: 'starter' };
  await at.database
    .insertInto('slots')
    .values({ slot_id, ...pool, fingerprint, status })
    .execute();
  return slot_id;
}
const take = async (fingerprints: string[]) =>
  (await takeSlotWork(at.database, 'w1', 30, { fingerprints }))?.slot_id;

test('a worker makes no slot of another release: its server would not be what the slot says', async () => {
  const slotId = await add('making', 'older');
  expect(await take(['newer'])).toBeUndefined();
  expect(await take(['newer', 'older'])).toBe(slotId);
});

test('it removes those of any release, and only those while nothing is to be made', async () => {
  await add('making', 'newer');
  const slotId = await add('removing', 'older');
  expect(await take([])).toBe(slotId);
  expect(await take([])).toBeUndefined();
});

test('it takes nothing of a Hetzner project that it does not have', async () => {
  const slotId = await add('removing', 'f');
  await at.database.updateTable('slots').set({ project: 'us' }).execute();
  const takeIn = async (projects: string[]) =>
    (await takeSlotWork(at.database, 'w1', 30, { fingerprints: ['f'], projects }))?.slot_id;
  expect(await takeIn(['default'])).toBeUndefined();
  expect(await takeIn(['default', 'us'])).toBe(slotId);
});
