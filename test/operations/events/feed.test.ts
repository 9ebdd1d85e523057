import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { appendEvents, type OperationEvent } from '../../../src/operations/events/events.ts';
import { openFeed } from '../../../src/operations/events/feed.ts';
import { type OperationsFixture, openOperations, order } from '../../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(() => at.empty());

const append = (operationId: string, attempt: number, events: OperationEvent[]) =>
  at.database.transaction().execute((trx) => appendEvents(trx, operationId, attempt, events));
const step = (name: string) => ({ type: 'step' as const, data: { step: name } });

test('a feed emits only events from after it was opened', async () => {
  const { operation_id: before } = await order(at, 'a1');
  await append(before, 1, [step('creating_server'), step('verifying')]);
  const feed = await openFeed(at.database);
  expect(await feed.next('any')).toEqual([]);
  expect(await feed.next([before])).toEqual([]);
  await append(before, 1, [step('running')]);
  const { operation_id: later } = await order(at, 'a2');
  const told = (await feed.next('any')).map(({ operationId, data }) => [
    operationId,
    data.step ?? data.status,
  ]);
  expect(told).toEqual([
    [before, 'running'],
    [later, 'queued'],
  ]);
  expect(await feed.next('any')).toEqual([]);
});
