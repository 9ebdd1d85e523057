import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { listChanges } from '../../src/agents/changes.ts';
import { readResources, recordResources } from '../../src/agents/stack-resources.ts';
import { type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(() => at.empty());

const changes = async (limit = 100) =>
  (await listChanges(at.database, { agentId: 'a1', limit })).map(
    ({ status, health }) => `${status} ${health}`,
  );
const set = (column: 'status' | 'health' | 'plan', value: string) =>
  sql`update agents set ${sql.ref(column)} = ${value}, error = 'why' where agent_id = 'a1'`.execute(
    at.database,
  );

test('each change of the state and of the health is kept, and nothing else', async () => {
  await order(at, 'a1');
  await set('status', 'provisioning');
  await set('status', 'provisioning');
  await set('plan', 'pro');
  await set('health', 'healthy');
  await set('status', 'failed');
  expect(await changes()).toEqual([
    'requested unknown',
    'provisioning unknown',
    'provisioning healthy',
    'failed healthy',
  ]);
  expect(await changes(2)).toEqual(['provisioning healthy', 'failed healthy']);
});

test('of an agent that changes all the time, the newest 500', async () => {
  await order(at, 'a1');
  for (let round = 0; round < 260; round += 1) {
    await set('health', 'healthy');
    await set('health', 'unknown');
  }
  expect(await changes(1_000)).toHaveLength(500);
});

test('what an engine run found replaces what an earlier one had', async () => {
  const { operation_id: operationId } = await order(at, 'a1');
  expect(await readResources(at.database, 'a1')).toBeUndefined();
  const server = { name: 'server', type: 'hcloud:index/server:Server', id: '7', isGone: false, drift: [] };
  const record = (found: Parameters<typeof recordResources>[2]) =>
    at.database.transaction().execute((trx) => recordResources(trx, { agentId: 'a1', operationId }, found));
  await record({ verb: 'up', resources: [server] });
  await record({ verb: 'refresh', resources: [{ ...server, isGone: true }] });
  expect(await readResources(at.database, 'a1')).toEqual({
    verb: 'refresh',
    kind: 'provision',
    operationId,
    at: expect.any(Date),
    resources: [{ ...server, isGone: true }],
  });
});
