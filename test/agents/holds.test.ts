import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  findStoppingHolds,
  HOLD_REASONS,
  listHolds,
  listHoldsByAgent,
  placeHold,
  releaseHold,
  stopsAgent,
} from '../../src/agents/holds.ts';
import type { HoldReason } from '../../src/database/vocabulary.ts';
import { type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  await order(at, 'a1');
  await order(at, 'a2');
});

const FIRST = new Date('2027-01-31T10:00:00.000Z');
const LATER = new Date('2027-02-01T10:00:00.000Z');

const place = (reason: HoldReason, at_: Date, note?: string, agentId = 'a1') =>
  at.database
    .transaction()
    .execute((trx) => placeHold(trx, { agentId, reason, by: 'stripe', at: at_, note }));
const release = (reason: HoldReason) =>
  at.database.transaction().execute((trx) => releaseHold(trx, { agentId: 'a1', reason, by: 'mia' }));
const audited = async () => {
  const rows = await at.database
    .selectFrom('audit_log')
    .select(['actor', 'action', 'agent_id', 'details'])
    .where('action', 'like', 'hold.%')
    .orderBy('id')
    .execute();
  return rows;
};

test('a second hold for the same reason changes nothing, not even its time', async () => {
  expect(await place('payment', FIRST)).toBe(true);
  expect(await place('payment', LATER, 'again')).toBe(false);
  expect(await listHolds(at.database, 'a1')).toEqual([
    { reason: 'payment', since: FIRST, by: 'stripe', note: null },
  ]);
  expect(await audited()).toEqual([
    {
      actor: 'stripe',
      action: 'hold.place',
      agent_id: 'a1',
      details: { reason: 'payment', since: FIRST.toISOString() },
    },
  ]);
});

test('each hold is released alone, and the audit log says by whom', async () => {
  await place('abuse', LATER, 'mines coins');
  await place('payment', FIRST);
  expect(await release('payment')).toBe(true);
  expect(await release('payment')).toBe(false);
  expect(await release('operator')).toBe(false);
  expect(await listHolds(at.database, 'a1')).toEqual([
    { reason: 'abuse', since: LATER, by: 'stripe', note: 'mines coins' },
  ]);
  expect((await audited()).at(-1)).toEqual({
    actor: 'mia',
    action: 'hold.release',
    agent_id: 'a1',
    details: { reason: 'payment', since: FIRST.toISOString() },
  });
});

test('a dispute switches nothing off; the other reasons do', async () => {
  expect(HOLD_REASONS.filter(stopsAgent)).toEqual(['payment', 'abuse', 'operator']);
  await place('dispute', FIRST);
  expect(await findStoppingHolds(at.database, 'a1')).toEqual([]);
  await place('operator', LATER);
  expect((await findStoppingHolds(at.database, 'a1')).map(({ reason }) => reason)).toEqual(['operator']);
});

test('the holds of several agents are read at once, oldest first', async () => {
  await place('abuse', LATER);
  await place('payment', FIRST);
  await place('operator', LATER, undefined, 'a2');
  const found = await listHoldsByAgent(at.database, ['a1', 'a2', 'a3']);
  expect(found.get('a1')?.map(({ reason }) => reason)).toEqual(['payment', 'abuse']);
  expect([...found.keys()].sort()).toEqual(['a1', 'a2']);
  expect(await listHoldsByAgent(at.database, [])).toEqual(new Map());
});
