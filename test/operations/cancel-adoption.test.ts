import { afterAll, beforeAll, expect, test } from 'vitest';
import { cancelOperation } from '../../src/operations/cancel.ts';
import { queueByService } from '../../src/operations/consequences.ts';
import '../../src/runbooks/all.ts';
import {
  listOperations,
  type OperationsFixture,
  openOperations,
  order,
} from '../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());

test('an adoption cannot be cancelled: nothing else would give the agent its stack', async () => {
  await order(at, 'a1');
  await at.database
    .transaction()
    .execute((trx) => queueByService({ trx, queue: at.queue, agentId: 'a1' }, 'adopt', { cause: 'test' }));
  const { operation_id: operationId } = (await listOperations(at, 'a1')).find(
    ({ kind }) => kind === 'adopt',
  )!;
  const cancel = at.database
    .transaction()
    .execute((trx) => cancelOperation(trx, at.queue, { operationId, actor: 'test' }));
  await expect(cancel).rejects.toThrow('An adopt cannot be cancelled');
  const after = await listOperations(at, 'a1');
  expect(after.find(({ kind }) => kind === 'adopt')).toMatchObject({ status: 'queued' });
});
