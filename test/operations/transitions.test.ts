import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Transaction } from '../../src/database/connect.ts';
import { ConflictError } from '../../src/errors.ts';
import { OPERATION_STATUSES } from '../../src/operations/states.ts';
import * as transitions from '../../src/operations/transitions.ts';
import { type OperationsFixture, openOperations, operation, order } from '../support/operations-fixture.ts';

const { TRANSITIONS } = transitions;

test('the diagram in docs/states.md has exactly the transitions of the table', () => {
  const page = readFileSync(new URL('../../docs/states.md', import.meta.url), 'utf8');
  const [, operationPart] = page.split('## An operation') as [string, string];
  const drawn = [...operationPart.matchAll(/^ +(\w+) --> (\w+): (.+)$/gm)].map(([, from, to, by]) => ({
    from,
    to,
    by,
  }));
  const listed = TRANSITIONS.flatMap(({ from, to, by }) => from.map((one) => ({ from: one, to, by })));
  expect(drawn).toEqual(listed);
});

test('every status can be reached, and every status but success can be left', () => {
  const reached = new Set(TRANSITIONS.map(({ to }) => to));
  const left = new Set(TRANSITIONS.flatMap(({ from }) => [...from]));
  expect([...reached].sort()).toEqual([...OPERATION_STATUSES].sort());
  expect([...left].sort()).toEqual(OPERATION_STATUSES.filter((status) => status !== 'succeeded').sort());
});

describe('in the rows', () => {
  let at: OperationsFixture;
  beforeAll(async () => {
    at = await openOperations();
  });
  afterAll(() => at.close());
  beforeEach(() => at.empty());

  const failure = { error: 'no', failed_step: 's', failure_code: null, retry_count: 1, lost_count: 0 };
  type Row = Awaited<ReturnType<typeof order>>;
  const functions: Record<
    (typeof TRANSITIONS)[number]['by'],
    (trx: Transaction, row: Row) => Promise<unknown>
  > = {
    'a worker claims it': (trx, row) =>
      transitions.beginOnWorker(trx, row, { workerId: 'w', leaseSeconds: 9 }),
    'its next attempt is dispatched': (trx, row) => transitions.openDispatch(trx, row, 9),
    'its dispatch is refused': (trx, row) =>
      transitions.refuseDispatch(trx, row, { reason: 'no', seconds: 9 }),
    'a runner begins it': (trx, row) =>
      transitions.beginOnRunner(trx, row, { attempt: 1, workflowRunId: null, leaseSeconds: 9 }),
    'another executor is chosen': (trx) => transitions.changeExecutor(trx, 'github-actions'),
    'a person hastens it': (trx, row) => transitions.hasten(trx, row),
    'a person cancels it': (trx, row) => transitions.cancelBeforeBegin(trx, row),
    'its work is done': (trx, row) => transitions.markSucceeded(trx, [row]),
    'a try fails or is lost': (trx, row) => transitions.queueNextTry(trx, row, { failure, delaySeconds: 9 }),
    'its worker hands it back': (trx, row) => transitions.returnToQueue(trx, row),
    'what it needs is sold out': (trx, row) =>
      transitions.queueForSupply(trx, row, { reason: 'none left', code: null, seconds: 9 }),
    'its last try fails': (trx, row) => transitions.markFailed(trx, row, failure),
    'its try ends after a cancellation': (trx, row) => transitions.markCancelled(trx, row, 's'),
    'a person retries it': (trx, row) => transitions.queueAgain(trx, row),
  };

  /** An operation in this status, with the columns that the status needs. */
  async function operationIn(status: (typeof OPERATION_STATUSES)[number]): Promise<Row> {
    const { operation_id: id } = await order(at, 'a1');
    const isFinished = status !== 'queued' && status !== 'active';
    await at.database
      .updateTable('operations')
      .set({
        status,
        error: 'before',
        ...(status === 'active' && { worker_id: 'w', lease_until: new Date() }),
        ...(isFinished && { finished_at: new Date() }),
      })
      .execute();
    return operation(at, id);
  }

  test.each(TRANSITIONS.map(({ by }) => by))('“%s” leaves only from its own statuses', async (by) => {
    const { from, to, columns } = TRANSITIONS.find((one) => one.by === by)!;
    for (const status of OPERATION_STATUSES) {
      await at.empty();
      const before = await operationIn(status);
      const isLegal = (from as readonly string[]).includes(status);
      const error = await at.database
        .transaction()
        .execute((trx) => functions[by](trx, before))
        .then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
      const after = await operation(at, before.operation_id);
      if (!isLegal) {
        expect(after, status).toEqual(before);
        if (by !== 'another executor is chosen') expect(error, status).toBeInstanceOf(ConflictError);
        continue;
      }
      expect(error, status).toBeUndefined();
      expect(after.status).toBe(to);
      const mayChange = ['status', 'updated_at', ...columns];
      const changed = Object.keys(after).filter(
        (column) =>
          JSON.stringify(after[column as keyof Row]) !== JSON.stringify(before[column as keyof Row]),
      );
      expect(mayChange).toEqual(expect.arrayContaining(changed));
    }
  });

  test('the row of another attempt is not moved', async () => {
    const row = await operationIn('active');
    const other = { ...row, attempt: row.attempt + 1 };
    const again = at.database.transaction().execute((trx) => functions['its work is done'](trx, other));
    await expect(again).rejects.toThrow(ConflictError);
    expect(await operation(at, row.operation_id)).toEqual(row);
  });
});
