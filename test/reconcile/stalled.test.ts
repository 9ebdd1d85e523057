import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readEvents } from '../../src/operations/events/events.ts';
import { handBack } from '../../src/operations/settle.ts';
import { explainWait, tellStalled, watchStalled } from '../../src/reconcile/stalled.ts';
import { removeStaleWorkers } from '../../src/reconcile/workforce.ts';
import { claim, type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  at.logged.length = 0;
  await at.empty();
});

/** Moves everything so many seconds into the past. */
async function letPass(seconds: number): Promise<void> {
  await sql`update operations set run_after = run_after - make_interval(secs => ${seconds}),
    finished_at = finished_at - make_interval(secs => ${seconds})`.execute(at.database);
  await sql`update operation_events set at = at - make_interval(secs => ${seconds})`.execute(at.database);
}

async function worker(workerId: string, { concurrency = 1, seenSecondsAgo = 0 } = {}): Promise<Date> {
  const row = await at.database
    .insertInto('workers')
    .values({
      worker_id: workerId,
      host: 'h',
      process: '1 1',
      concurrency,
      seen_at: sql<Date>`now() - make_interval(secs => ${seenSecondsAgo})`,
    })
    .returning('seen_at')
    .executeTakeFirstOrThrow();
  return row.seen_at;
}

async function logLines(operationId: string): Promise<unknown[]> {
  const events = await readEvents(at.database, operationId, 0);
  return events.filter(({ type }) => type === 'log').map(({ data }) => data.line);
}

describe('an operation that no worker claims', () => {
  test('is reported once after the limit, in its own log and the service’s', async () => {
    const { operation_id } = await order(at, 'a1');
    const lastSeen = await worker('w1', { seenSecondsAgo: 1200 });
    await letPass(59);
    expect(await tellStalled(at, 60)).toBe(0);
    await letPass(2);
    expect(await tellStalled(at, 60)).toBe(1);
    expect(await tellStalled(at, 60)).toBe(0);
    const [line, ...others] = await logLines(operation_id);
    expect(line).toMatch(/^No worker has taken this for 6\d s: none is running/);
    expect(line).toContain(`(last one seen at ${lastSeen.toISOString()})`);
    expect(others).toEqual([]);
    expect(at.logged).toMatchObject([
      { event: 'operation.stalled', operationId: operation_id, agentId: 'a1', msg: line },
    ]);
  });

  test('is reported again only once it was claimed and waits once more', async () => {
    const { operation_id } = await order(at, 'a1');
    await letPass(61);
    expect(await tellStalled(at, 60)).toBe(1);
    await letPass(600);
    expect(await tellStalled(at, 60)).toBe(0);
    await handBack(at, (await claim(at)).claim, 'queued');
    expect(await tellStalled(at, 60)).toBe(0);
    await letPass(61);
    expect(await tellStalled(at, 60)).toBe(1);
    expect(await logLines(operation_id)).toHaveLength(3);
  });

  test('is reported as waiting for busy workers, with the number ahead of it', async () => {
    for (const agentId of ['busy-1', 'busy-2', 'busy-3', 'before', 'last']) await order(at, agentId);
    await worker('w1', { concurrency: 2 });
    await worker('w2');
    for (let taken = 0; taken < 3; taken += 1) await claim(at);
    await letPass(200);
    expect(await tellStalled(at, 60)).toBe(2);
    const { operation_id } = await at.database
      .selectFrom('operations')
      .select('operation_id')
      .where('agent_id', '=', 'last')
      .executeTakeFirstOrThrow();
    expect(await logLines(operation_id)).toEqual([
      'No worker has taken this for 3 minutes: all 2 workers are busy (1 operation ahead)',
    ]);
  });

  test('is reported once by many processes', async () => {
    const { operation_id } = await order(at, 'a1');
    await letPass(61);
    const told = await Promise.all(Array.from({ length: 8 }, () => tellStalled(at, 60)));
    expect(told.reduce((sum, count) => sum + count)).toBe(1);
    expect(await logLines(operation_id)).toHaveLength(1);
  });

  test('is found by a process that only watches', async () => {
    const { operation_id } = await order(at, 'a1');
    await letPass(61);
    const watching = watchStalled(at, { waitSeconds: 60, lookSeconds: 0.02 });
    await expect.poll(() => logLines(operation_id)).toHaveLength(1);
    await watching.stop();
  });
});

describe('an operation that waits for something else', () => {
  test('such as its retry or its agent’s other operation is not reported', async () => {
    await order(at, 'a1');
    const { claim: held } = await claim(at);
    await at.database
      .insertInto('operations')
      .values({ agent_id: 'a1', kind: 'rollback', executor: 'local' })
      .execute();
    await order(at, 'a2');
    await at.database
      .updateTable('operations')
      .set({ run_after: sql`now() + interval '1 hour'` })
      .where('agent_id', '=', 'a2')
      .execute();
    await letPass(61);
    expect(await tellStalled(at, 60)).toBe(0);
    // The operation ahead of it has finished: its wait for a worker begins.
    await at.database
      .updateTable('operations')
      .set({ status: 'succeeded', worker_id: null, lease_until: null, finished_at: sql`now()` })
      .where('operation_id', '=', held.operationId)
      .execute();
    expect(await tellStalled(at, 60)).toBe(0);
    await letPass(61);
    expect(await tellStalled(at, 60)).toBe(1);
  });
});

test.each([
  [{ workers: 0, slots: 0, active: 0, lastSeenAt: null }, 'none is running (none has been seen lately)'],
  [
    { workers: 1, slots: 2, active: 2, lastSeenAt: new Date() },
    'the only worker is busy (0 operations ahead)',
  ],
])('the reason in words: %o', (workforce, reason) => {
  expect(explainWait({ waitedSeconds: 60, ahead: 0 }, workforce)).toBe(
    `No worker has taken this for 60 s: ${reason}`,
  );
});

test('names a free slot in the reason', () => {
  const workforce = { workers: 1, slots: 4, active: 3, lastSeenAt: new Date() };
  expect(explainWait({ waitedSeconds: 60, ahead: 2 }, workforce)).toBe(
    'No worker has taken this for 60 s, although 1 of 4 slots is free (2 operations ahead)',
  );
});

test('workers that were silent for an hour are forgotten, except the last one', async () => {
  const left = async () => {
    await removeStaleWorkers(at.database);
    const rows = await at.database.selectFrom('workers').select('worker_id').orderBy('worker_id').execute();
    return rows.map((row) => row.worker_id);
  };
  await worker('w1', { seenSecondsAgo: 9000 });
  await worker('w2', { seenSecondsAgo: 5000 });
  expect(await left()).toEqual(['w2']);
  await worker('w3', { seenSecondsAgo: 3000 });
  expect(await left()).toEqual(['w3']);
  await worker('w4');
  expect(await left()).toEqual(['w3', 'w4']);
});
