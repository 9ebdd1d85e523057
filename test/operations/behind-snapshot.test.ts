import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { claimNext } from '../../src/operations/claims.ts';
import { insertOperation } from '../../src/operations/requests.ts';
import type { OperationKind } from '../../src/operations/states.ts';
import { listWaiting } from '../../src/operations/waiting.ts';
import { ask, type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  await order(at, 'a1');
  await sql`update operations set status = 'succeeded', finished_at = now()`.execute(at.database);
  await sql`update agents set status = 'running', step = 'running', server_id = '1', server_name = 'agent-a1',
    ipv4 = '192.0.2.1', ipv6 = '2001:db8::1', tailnet_ip = '100.64.0.1', tailnet_name = 'a1.ts.net'`.execute(
    at.database,
  );
  await ask(at, 'a1', 'snapshot');
});

const queue = (kind: OperationKind) =>
  at.database.transaction().execute((trx) => insertOperation(trx, at.queue, { agentId: 'a1', kind }));
/** As a worker's slots do while its place beside them is taken. */
const claimBeside = async () =>
  (await claimNext(at.database, 'w1', 30, { kinds: ['snapshot'], projects: [] }))?.kind;
const alterSnapshot = (columns: { attempt?: number; dispatched_at?: Date }) =>
  at.database.updateTable('operations').set(columns).where('kind', '=', 'snapshot').execute();

describe('behind a snapshot of its agent that has not begun', () => {
  test.each(['start', 'stop', 'restart', 'suspend', 'resume'] as const)('a %s begins', async (kind) => {
    await queue(kind);
    const { first } = await listWaiting(at.database, 9);
    expect(first.find((one) => one.kind === kind)?.behind).toBeNull();
    expect(await claimBeside()).toBe(kind);
  });

  test.each(['reconfigure', 'resize', 'rebuild', 'revert', 'hibernate', 'destroy'] as const)(
    'a %s waits: it changes the disk, or takes it away',
    async (kind) => {
      await queue(kind);
      expect(await claimBeside()).toBeUndefined();
    },
  );

  test('what waits for another operation still does', async () => {
    await queue('rebuild');
    await queue('suspend');
    expect(await claimBeside()).toBeUndefined();
  });
});

test.each([
  ['that has begun', { attempt: 1 }],
  ['that a runner has', { dispatched_at: new Date() }],
])('behind a snapshot %s a stop waits', async (_, columns) => {
  await alterSnapshot(columns);
  await queue('stop');
  expect(await claimBeside()).toBeUndefined();
});
