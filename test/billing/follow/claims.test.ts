import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { claimDue } from '../../../src/billing/follow/claims.ts';
import { linkSubscription, signalSubscriptions } from '../../../src/billing/subscriptions.ts';
import { type OperationsFixture, openOperations, order } from '../../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(() => at.empty());

const NOW = new Date('2027-01-01T00:00:00Z');

/** An agent with a subscription that has been due for so many seconds: for its date, or by a signal. */
async function due(agentId: string, { late, by }: { late: number; by: 'date' | 'signal' }): Promise<void> {
  await order(at, agentId);
  const link = { subscriptionId: `sub_${agentId}`, agentId, customerId: `cus_${agentId}` };
  await at.database.transaction().execute((trx) => linkSubscription(trx, link));
  const nextAt = by === 'date' ? new Date(NOW.getTime() - late * 1000) : null;
  await sql`update subscriptions set next_at = ${nextAt}, seen_signals = ${by === 'date' ? 1 : 0},
    retry_at = now() - interval '1 day', signalled_at = now() - make_interval(secs => ${late})
    where agent_id = ${agentId}`.execute(at.database);
}

const claim = async (limit: number) =>
  (await claimDue(at.database, NOW, limit)).map(({ agentId, rows }) => [
    agentId,
    ...rows.map((row) => row.subscription_id),
  ]);

test('the longest due are claimed first, whether by a date or by a signal', async () => {
  await due('a1', { late: 20, by: 'signal' });
  await due('a2', { late: 5, by: 'date' });
  await due('a3', { late: 60, by: 'date' });
  await due('a4', { late: 40, by: 'signal' });
  await due('a5', { late: 1, by: 'signal' });
  expect(await claim(2)).toEqual([
    ['a3', 'sub_a3'],
    ['a4', 'sub_a4'],
  ]);
  expect(await claim(9)).toEqual([
    ['a1', 'sub_a1'],
    ['a2', 'sub_a2'],
    ['a5', 'sub_a5'],
  ]);
  expect(await claim(9)).toEqual([]);
});

test('those that fail again and again do not stand before the others', async () => {
  await due('a1', { late: 3600, by: 'date' });
  await due('a2', { late: 7200, by: 'signal' });
  await sql`update subscriptions set failures = 9, retry_at = now() - interval '2 seconds'`.execute(
    at.database,
  );
  await due('a3', { late: 60, by: 'date' });
  await due('a4', { late: 30, by: 'signal' });
  expect(await claim(2)).toEqual([
    ['a3', 'sub_a3'],
    ['a4', 'sub_a4'],
  ]);
  expect(await claim(9)).toHaveLength(2);
});

test('another signal does not send one that waits to the end', async () => {
  await due('a1', { late: 60, by: 'signal' });
  await due('a2', { late: 30, by: 'signal' });
  await at.database.transaction().execute((trx) => signalSubscriptions(trx, { subscriptionId: 'sub_a1' }));
  expect(await claim(1)).toEqual([['a1', 'sub_a1']]);
});
