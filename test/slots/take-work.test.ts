import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LIMIT_REACHED } from '../../src/errors.ts';
import { takeSlotWork } from '../../src/slots/slots.ts';
import { claim, type OperationsFixture, openOperations, waitOver } from '../support/operations-fixture.ts';
import { orderWithoutRoom } from '../support/room.ts';

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

describe('in a full Hetzner project', () => {
  const full = (until: string, project = 'default') =>
    sql`update hetzner_projects set full_until = now() + ${sql.lit(until)}::interval where name = ${project}`.execute(
      at.database,
    );
  const record = (changes: object) => at.database.updateTable('slots').set(changes).execute();
  const inputs = sql<string>`'{"agentId": "x"}'::jsonb`;
  afterEach(() => sql`update hetzner_projects set full_until = null`.execute(at.database));

  test('no slot is begun: it would take the place that was freed for an order', async () => {
    const slotId = await add('making', 'f');
    await full('1 minute');
    expect(await take(['f'])).toBeUndefined();
    await full('-1 second');
    expect(await take(['f'])).toBe(slotId);
  });

  test('one that may have a server is finished, and one without its server is not', async () => {
    const slotId = await add('making', 'f');
    await full('1 minute');
    await record({ inputs, failure_code: LIMIT_REACHED });
    expect(await take(['f'])).toBeUndefined();
    await record({ failure_code: null });
    expect(await take(['f'])).toBe(slotId);
  });

  test('none at all is made while an order waits for room there, and removals go on', async () => {
    await orderWithoutRoom(at, 'a1');
    const making = await add('making', 'f');
    await record({ inputs });
    expect(await take(['f'])).toBeUndefined();
    const removing = await add('removing', 'f');
    expect(await take(['f'])).toBe(removing);
    // It has begun: Hetzner decides who gets the place of what may have its server already.
    await waitOver(at);
    await claim(at);
    expect(await take(['f'])).toBe(making);
  });

  test('in another one slots are made', async () => {
    await orderWithoutRoom(at, 'a1');
    const slotId = await add('making', 'f');
    await record({ project: 'us' });
    expect(await take(['f'])).toBe(slotId);
  });
});

test('it takes only what is made, or only what is removed, if told so', async () => {
  const making = await add('making', 'f');
  const removing = await add('removing', 'f');
  const takeOnly = async (status: 'making' | 'removing') =>
    (await takeSlotWork(at.database, 'w1', 30, { fingerprints: ['f'], status }))?.slot_id;
  expect(await takeOnly('making')).toBe(making);
  expect(await takeOnly('making')).toBeUndefined();
  expect(await takeOnly('removing')).toBe(removing);
});
