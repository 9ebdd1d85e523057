import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { listAnnouncements, type NewNotice, queueNotice } from '../../src/notices/queue-notice.ts';
import { type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  await order(at, 'a1');
});

const queue = (notice: NewNotice) => at.database.transaction().execute((trx) => queueNotice(trx, notice));
const AT = new Date('2027-03-01T12:00:00.000Z');
const announced = (key: string): NewNotice => ({
  type: 'agent.will_suspend',
  agentId: 'a1',
  key,
  data: { suspendAt: '2027-03-04T12:00:00.000Z' },
  at: AT,
});

test('a key is announced once, whatever happens in between', async () => {
  expect(await queue(announced('sub_1 first'))).toBe(true);
  expect(await queue({ ...announced('sub_1 first'), at: new Date(0), data: {} })).toBe(false);
  expect(await queue({ ...announced('deleted'), type: 'agent.deleted' })).toBe(true);
  expect(await queue(announced('sub_1 second'))).toBe(true);
  expect(await listAnnouncements(at.database, 'a1')).toEqual([
    { type: 'agent.will_suspend', key: 'sub_1 first', at: AT },
    { type: 'agent.will_suspend', key: 'sub_1 second', at: AT },
  ]);
  expect(await listAnnouncements(at.database, 'a2')).toEqual([]);
});

test('two transactions that announce the same at once queue one notice', async () => {
  const both = await Promise.all([queue(announced('same')), queue(announced('same'))]);
  expect(both.sort()).toEqual([false, true]);
});

test('a transaction that fails announces nothing', async () => {
  const failing = at.database.transaction().execute(async (trx) => {
    await queueNotice(trx, announced('undone'));
    throw new Error('undone');
  });
  await expect(failing).rejects.toThrow('undone');
  expect(await listAnnouncements(at.database, 'a1')).toEqual([]);
});

test('without a time it is dated by the clock of the business', async () => {
  await sql`insert into installation (mode, accounts, clock_offset)
    values ('sandbox', '{}', interval '30 days')`.execute(at.database);
  await queue({ ...announced('later'), at: undefined });
  const [later] = await listAnnouncements(at.database, 'a1');
  const days = (later!.at.getTime() - Date.now()) / 86_400_000;
  expect(days).toBeGreaterThan(29.9);
  expect(days).toBeLessThan(30.1);
});
