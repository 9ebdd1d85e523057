import { setTimeout as pause } from 'node:timers/promises';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ExecutorName } from '../../../src/config/executor-name.ts';
import { runAttempt } from '../../../src/executors/worker/attempt.ts';
import { settleExpired } from '../../../src/executors/worker/expired.ts';
import { readEvents } from '../../../src/operations/events/events.ts';
import { noFence } from '../../../src/pulumi/fence.ts';
import { Secret } from '../../../src/secret.ts';
import {
  claim,
  type OperationsFixture,
  openOperations,
  operation,
  order,
} from '../../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(() => at.empty());
afterEach(() => {
  vi.useRealTimers();
});

const look = () => settleExpired(at.database, at.queue, at.log);

async function logLines(operationId: string): Promise<unknown[]> {
  const events = await readEvents(at.database, operationId, 0);
  return events.filter(({ type }) => type === 'log').map(({ data }) => data.line);
}

/** An active attempt whose last heartbeat is so many seconds ago. */
async function attempt(executor: ExecutorName, silentSeconds: number): Promise<string> {
  await order(at, 'a1');
  const { row } = await claim(at, 'host:17:abc');
  await sql`update operations set executor = ${executor}, workflow_run_id = '4711',
    last_heartbeat_at = now() - make_interval(secs => ${silentSeconds}),
    lease_until = now() - make_interval(secs => ${silentSeconds - 30})
    where operation_id = ${row.operation_id}`.execute(at.database);
  return row.operation_id;
}

describe('a silent attempt', () => {
  test('on a worker is lost with its lease, reports who and since when, and is repeated without counting', async () => {
    const operationId = await attempt('local', 31);
    const { last_heartbeat_at } = await operation(at, operationId);
    expect(await look()).toBe(1);
    const reason = `The worker host:17:abc has not been heard of since ${last_heartbeat_at?.toISOString()}, and its lease has run out`;
    expect(await operation(at, operationId)).toMatchObject({
      status: 'queued',
      error: reason,
      retry_count: 0,
      lost_count: 1,
    });
    expect(await logLines(operationId)).toEqual([reason]);
  });

  test('on a GitHub runner is lost after 15 minutes, whatever its lease', async () => {
    const operationId = await attempt('github-actions', 14 * 60);
    expect(await look()).toBe(0);
    await sql`update operations set last_heartbeat_at = last_heartbeat_at - interval '61 seconds'`.execute(
      at.database,
    );
    const { last_heartbeat_at } = await operation(at, operationId);
    expect(await look()).toBe(1);
    const reason = `The GitHub runner (workflow run 4711) has not been heard of since ${last_heartbeat_at?.toISOString()}, for more than 15 minutes`;
    expect(await operation(at, operationId)).toMatchObject({
      status: 'queued',
      error: reason,
      retry_count: 0,
      lost_count: 1,
    });
    expect(await logLines(operationId)).toEqual([reason]);
  });

  test('on a GitHub runner without any heartbeat counts from its claim', async () => {
    const operationId = await attempt('github-actions', 0);
    await sql`update operations set last_heartbeat_at = null, claimed_at = now() - interval '16 minutes'`.execute(
      at.database,
    );
    expect(await look()).toBe(1);
    expect((await operation(at, operationId)).error).toContain('for more than 15 minutes');
  });
});

test('an attempt beyond its time limit is ended, says so in log and error, and counts as a failed try', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  await order(at, 'a1');
  const { row } = await claim(at);
  let begun = false;
  const provision = async ({ signal }: { signal: AbortSignal }): Promise<never> => {
    begun = true;
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  };
  const fence = noFence(new Secret(at.url));
  const ended = runAttempt(
    { ...at, fence, runbooks: { provision } },
    row,
    'w1',
    new AbortController().signal,
  );
  while (!begun) await pause(5);
  vi.advanceTimersByTime(30 * 60 * 1000 - 1);
  expect(await operation(at, row.operation_id)).toMatchObject({ status: 'active' });
  vi.advanceTimersByTime(1);
  await ended;
  const reason = 'The provision took longer than 30 minutes and was ended';
  expect(await operation(at, row.operation_id)).toMatchObject({
    status: 'queued',
    error: reason,
    retry_count: 1,
  });
  expect(await logLines(row.operation_id)).toEqual([reason]);
});
