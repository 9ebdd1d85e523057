import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { getAgent } from '../../src/agents/store.ts';
import type { Transaction } from '../../src/database/connect.ts';
import {
  CancelledError,
  ConflictError,
  LostError,
  PermanentError,
  RetryableError,
  ShortageError,
} from '../../src/errors.ts';
import { settleExpired } from '../../src/executors/worker/expired.ts';
import { presentAgent } from '../../src/http/agents/agent-json.ts';
import { cancelOperation } from '../../src/operations/cancel.ts';
import { claimNext } from '../../src/operations/claims.ts';
import { readEvents, readSteps, timeline } from '../../src/operations/events/events.ts';
import { retryOperation } from '../../src/operations/retry.ts';
import { handBack, settleFailure, succeed } from '../../src/operations/settle.ts';
import { NotJoinedError } from '../../src/pulumi/errors.ts';
import { StateKeyError } from '../../src/pulumi/state-key-error.ts';
import { toServerId } from '../support/operation-progress.ts';
import {
  announcements,
  ask,
  claim,
  listOperations,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
  operation,
  order,
  waitOver,
} from '../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(() => at.empty());

const failed = new RetryableError('Hetzner answered 500');

async function running(agentId: string): Promise<void> {
  await order(at, agentId);
  const { claim: mine } = await claim(at);
  const outputs = { ...OUTPUTS, serverId: toServerId(agentId) };
  await succeed(at, mine, { kind: 'running', outputs });
}

/** Fails every try of the next operation. */
async function failForGood(error: unknown = failed, step = 'creating_server'): Promise<string> {
  for (;;) {
    const { claim: mine } = await claim(at);
    const status = await settleFailure(at, mine, { error, step });
    if (status !== 'queued') return mine.operationId;
    await waitOver(at);
  }
}

const request = <T>(work: (trx: Transaction) => Promise<T>) => at.database.transaction().execute(work);
const cancel = (operationId: string) =>
  request((trx) => cancelOperation(trx, at.queue, { operationId, actor: 'test' }));
const retry = (operationId: string) =>
  request((trx) => retryOperation(trx, at.queue, { operationId, actor: 'test' }));
const kinds = async (agentId: string) =>
  (await listOperations(at, agentId)).map(({ kind, status }) => `${kind} ${status}`);

describe('success', () => {
  test('the operation and its agent change together, and the lease ends', async () => {
    const { operation_id } = await order(at, 'a1');
    const { claim: mine } = await claim(at);
    await succeed(at, mine, { kind: 'running', outputs: OUTPUTS });
    expect(await operation(at, operation_id)).toMatchObject({
      status: 'succeeded',
      error: null,
      failed_step: null,
      worker_id: null,
      lease_until: null,
      finished_at: expect.any(Date),
    });
    expect(await getAgent(at.database, 'a1')).toMatchObject({
      status: 'running',
      step: 'running',
      health: 'healthy',
      server_id: '1',
      tailnet_ip: '100.64.0.1',
    });
  });

  test('if the agent cannot change, neither does the operation', async () => {
    const { operation_id } = await order(at, 'a1');
    const { claim: mine } = await claim(at);
    const failing = succeed(at, mine, { kind: 'destroyed' });
    await expect(failing).rejects.toThrow(ConflictError);
    expect((await operation(at, operation_id)).status).toBe('active');
  });
});

describe('failure', () => {
  test('a failed try stores reason and step on the queued operation, and announces the retry', async () => {
    const { operation_id } = await order(at, 'a1');
    const { claim: mine } = await claim(at);
    const before = Date.now();
    expect(await settleFailure(at, mine, { error: failed, step: 'creating_server' })).toBe('queued');
    const row = await operation(at, operation_id);
    expect(row).toMatchObject({
      status: 'queued',
      error: 'Hetzner answered 500',
      failed_step: 'creating_server',
      retry_count: 1,
      lost_count: 0,
      worker_id: null,
      finished_at: null,
    });
    expect(row.run_after.getTime() - before).toBeGreaterThan(1_000);
    expect((await getAgent(at.database, 'a1')).status).toBe('provisioning');
    const last = (await announcements(at)).at(-1)!;
    expect(last.operationId).toBe(operation_id);
    expect(last.at.getTime()).toBeGreaterThan(before + 1_000);
  });

  test('the third failure of a provision fails the agent and frees all billed resources', async () => {
    await order(at, 'a1');
    const operationId = await failForGood();
    expect(await operation(at, operationId)).toMatchObject({
      status: 'failed',
      attempt: 3,
      retry_count: 3,
      error: 'Hetzner answered 500',
      failed_step: 'creating_server',
    });
    expect(await getAgent(at.database, 'a1')).toMatchObject({
      status: 'failed',
      error: 'Hetzner answered 500',
    });
    expect(await kinds('a1')).toEqual(['provision failed', 'rollback queued']);
    const [, rollback] = await listOperations(at, 'a1');
    expect((await announcements(at)).map((job) => job.operationId)).toContain(rollback!.operation_id);
  });

  test('an error that needs a person is not retried', async () => {
    await order(at, 'a1');
    const operationId = await failForGood(new PermanentError('401: the token is wrong'));
    expect(await operation(at, operationId)).toMatchObject({ status: 'failed', attempt: 1, retry_count: 1 });
  });

  test('a failed destroy leaves the agent destroying with the reason, and is requested again later', async () => {
    await running('a1');
    await ask(at, 'a1', 'destroy');
    await failForGood(failed, 'deleting_resources');
    expect(await getAgent(at.database, 'a1')).toMatchObject({
      status: 'destroying',
      error: 'Hetzner answered 500',
    });
    expect(await kinds('a1')).toEqual(['provision succeeded', 'destroy failed', 'destroy queued']);
    expect(await claimNext(at.database, 'w1')).toBeUndefined();
    await waitOver(at);
    expect((await claim(at)).row.kind).toBe('destroy');
  });

  test('a failed rollback is requested again later', async () => {
    await order(at, 'a1');
    await failForGood();
    await failForGood(failed, 'deleting_resources');
    expect(await kinds('a1')).toEqual(['provision failed', 'rollback failed', 'rollback queued']);
  });

  test('a failed rollback notes on the agent what may still be billed, until one succeeds', async () => {
    await order(at, 'a1');
    await failForGood();
    const shown = async () =>
      presentAgent(await getAgent(at.database, 'a1'), { holds: [], subscription: undefined }).error;
    expect(await shown()).toBe('Hetzner answered 500');
    await failForGood(new PermanentError('unable to authenticate'), 'deleting_resources');
    expect(await shown()).toMatch(
      /^Hetzner answered 500\n.*may be billed: unable to authenticate\. .*retried/,
    );
    await waitOver(at);
    const { claim: rollback } = await claim(at);
    await succeed(at, rollback, { kind: 'rolled-back' });
    expect(await shown()).toBe('Hetzner answered 500');
  });

  test.each([
    ['NUL', 'broken\u0000pipe', 'broken\ufffdpipe'],
    ['half a surrogate pair', 'broken\ud800pipe', 'broken\ufffdpipe'],
    ['an endless text', '😀'.repeat(9_000), '😀'.repeat(8_000)],
  ])('a failure with %s in its message is settled, with its reason', async (_, message, kept) => {
    const { operation_id } = await order(at, 'a1');
    const { claim: mine } = await claim(at);
    expect(await settleFailure(at, mine, { error: new RetryableError(message), step: message })).toBe(
      'queued',
    );
    const row = await operation(at, operation_id);
    expect(row).toMatchObject({ status: 'queued', retry_count: 1, lost_count: 0, error: kept });
    expect([...row.failed_step!]).toHaveLength(Math.min([...kept].length, 200));
    const told = await readEvents(at.database, operation_id, 0);
    expect(told.at(-1)?.data).toMatchObject({ error: kept });
  });

  test('a failed refresh leaves the status unchanged', async () => {
    await running('a1');
    await ask(at, 'a1', 'refresh');
    await failForGood(failed, 'refreshing');
    expect(await getAgent(at.database, 'a1')).toMatchObject({ status: 'running', health: 'unhealthy' });
  });
});

describe('loss', () => {
  test('a lost try is repeated ten times without counting; the eleventh loss is final', async () => {
    const { operation_id } = await order(at, 'a1');
    for (let losses = 1; losses <= 10; losses += 1) {
      const { claim: mine } = await claim(at);
      const status = await settleFailure(at, mine, { error: new LostError('died'), step: 'configuring' });
      expect(status).toBe('queued');
      expect(await operation(at, operation_id)).toMatchObject({ retry_count: 0, lost_count: losses });
      await waitOver(at);
    }
    const { claim: last } = await claim(at);
    expect(await settleFailure(at, last, { error: new LostError('died'), step: 'configuring' })).toBe(
      'failed',
    );
    expect(await operation(at, operation_id)).toMatchObject({ attempt: 11, retry_count: 0, lost_count: 11 });
    expect(await kinds('a1')).toEqual(['provision failed', 'rollback queued']);
  });

  test('expired leases are settled once each by any process, and valid ones are left alone', async () => {
    for (const agentId of ['a1', 'a2', 'a3']) {
      await order(at, agentId);
      await claim(at, `worker of ${agentId}`);
    }
    await at.database
      .updateTable('operations')
      .set({ lease_until: new Date(Date.now() - 1000), step: 'joining_network' })
      .where('agent_id', 'in', ['a1', 'a2'])
      .execute();
    const counts = await Promise.all([1, 2, 3].map(() => settleExpired(at.database, at.queue, at.log)));
    expect(counts.reduce((sum, count) => sum + count)).toBe(2);
    const rows = await at.database.selectFrom('operations').selectAll().orderBy('agent_id').execute();
    expect(rows.map((row) => [row.status, row.lost_count, row.retry_count, row.failed_step])).toEqual([
      ['queued', 1, 0, 'joining_network'],
      ['queued', 1, 0, 'joining_network'],
      ['active', 0, 0, null],
    ]);
    expect(rows[0]!.error).toContain('worker of a1');
    expect(at.logged.filter((line) => line.event === 'attempt.expired').map((line) => line.agentId)).toEqual(
      expect.arrayContaining(['a1', 'a2']),
    );
  });

  test('an operation that is handed back does not count as a try and is taken up at once', async () => {
    const { operation_id } = await order(at, 'a1');
    const { claim: mine } = await claim(at);
    await handBack(at, mine, 'queued');
    expect(await operation(at, operation_id)).toMatchObject({
      status: 'queued',
      retry_count: 0,
      lost_count: 0,
    });
    expect((await claim(at)).row).toMatchObject({ operation_id, attempt: 2 });
  });

  test('an operation that waits for what is sold out says so, and counts no try, however often', async () => {
    const { operation_id: operationId } = await order(at, 'a1');
    const error = new ShortageError('Waiting for a server');
    const waits: number[] = [];
    for (let round = 1; round <= 6; round++) {
      const { claim: mine } = await claim(at);
      expect(await settleFailure(at, mine, { error, step: 'creating_server' })).toBe('queued');
      const row = await operation(at, operationId);
      expect(row).toMatchObject({
        status: 'queued',
        attempt: round,
        retry_count: 0,
        lost_count: 0,
        waits_for: 'Waiting for a server',
      });
      waits.push(Math.round((row.run_after.getTime() - row.updated_at.getTime()) / 1000));
      await waitOver(at);
    }
    expect(waits).toEqual([15, 60, 240, 300, 300, 300]);
    expect((await claim(at)).row.waits_for).toBeNull();
  });

  test('one that waits for the state’s key says so for its cure, and keeps what an earlier try has found', async () => {
    const { operation_id: operationId } = await order(at, 'a1');
    const codes: (string | null)[] = [];
    for (const error of [
      new StateKeyError('The key cannot be used'),
      new ShortageError('Waiting for a server'),
      new NotJoinedError('The server did not join'),
      new StateKeyError('The key cannot be used'),
    ]) {
      const { claim: mine } = await claim(at);
      expect(await settleFailure(at, mine, { error, step: 'creating_server' })).toBe('queued');
      codes.push((await operation(at, operationId)).failure_code);
      await waitOver(at);
    }
    expect(codes).toEqual(['state-key-unusable', null, 'not-joined', 'not-joined']);
    expect(await operation(at, operationId)).toMatchObject({ retry_count: 1, lost_count: 0 });
  });

  test('a cancellation ends an operation that would wait for what is sold out', async () => {
    const { operation_id: operationId } = await order(at, 'a1');
    const { claim: mine } = await claim(at);
    await at.database
      .transaction()
      .execute((trx) => cancelOperation(trx, at.queue, { operationId, actor: 'test' }));
    const error = new ShortageError('Waiting for a server');
    expect(await settleFailure(at, mine, { error, step: 'creating_server' })).toBe('cancelled');
    expect(await operation(at, operationId)).toMatchObject({ status: 'cancelled', waits_for: null });
  });

  test('an operation with a requested cancellation is cancelled when its worker stops, not handed back', async () => {
    const { operation_id: operationId } = await order(at, 'a1');
    const { claim: mine } = await claim(at);
    await at.database
      .transaction()
      .execute((trx) => cancelOperation(trx, at.queue, { operationId, actor: 'test' }));
    expect(await handBack(at, mine, 'creating_server')).toBe('cancelled');
    expect(await operation(at, operationId)).toMatchObject({
      status: 'cancelled',
      failed_step: 'creating_server',
    });
  });
});

describe('a destroy during a provision or rollback', () => {
  test('cancels a queued provision', async () => {
    await order(at, 'a1');
    await ask(at, 'a1', 'destroy');
    expect(await kinds('a1')).toEqual(['provision cancelled', 'destroy queued']);
    expect((await getAgent(at.database, 'a1')).status).toBe('destroying');
    expect((await claim(at)).row.kind).toBe('destroy');
  });

  test('cancels an active provision, ignores its late success and destroys what it made', async () => {
    await order(at, 'a1');
    const { claim: mine } = await claim(at);
    await ask(at, 'a1', 'destroy');
    expect(await claimNext(at.database, 'w2')).toBeUndefined();
    const late = succeed(at, mine, { kind: 'running', outputs: OUTPUTS });
    await expect(late).rejects.toThrow(ConflictError);
    expect(await settleFailure(at, mine, { error: new ConflictError('destroying'), step: 'verifying' })).toBe(
      'cancelled',
    );
    expect(await getAgent(at.database, 'a1')).toMatchObject({ status: 'destroying', server_id: null });
    expect(await kinds('a1')).toEqual(['provision cancelled', 'destroy queued']);
    expect((await claim(at)).row.kind).toBe('destroy');
  });

  test('requested in the moment the provision succeeds, does not deadlock with it', async () => {
    await order(at, 'a1');
    const { claim: mine } = await claim(at);
    const locked = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const destroying = request(async (trx) => {
      // As requestOperation does: first the agent …
      await trx.selectFrom('agents').selectAll().where('agent_id', '=', 'a1').forUpdate().execute();
      locked.resolve();
      await goOn.promise;
      // … then its operations.
      await trx.selectFrom('operations').selectAll().where('agent_id', '=', 'a1').forNoKeyUpdate().execute();
    });
    await locked.promise;
    const succeeding = succeed(at, mine, { kind: 'running', outputs: OUTPUTS });
    await untilLockWaited(at);
    goOn.resolve();
    await destroying;
    await succeeding;
    expect((await operation(at, mine.operationId)).status).toBe('succeeded');
  });

  test('cancels an active rollback and does not request it again: the destroy frees everything', async () => {
    await order(at, 'a1');
    await failForGood();
    const { claim: rollback } = await claim(at);
    await ask(at, 'a1', 'destroy');
    await settleFailure(at, rollback, { error: new CancelledError('Cancelled'), step: 'deleting_resources' });
    expect(await kinds('a1')).toEqual(['provision failed', 'rollback cancelled', 'destroy queued']);
  });
});

describe('cancel', () => {
  test('of a queued provision fails its agent and frees what it may have left', async () => {
    const { operation_id } = await order(at, 'a1');
    expect((await cancel(operation_id)).status).toBe('cancelled');
    expect((await getAgent(at.database, 'a1')).status).toBe('failed');
    expect(await kinds('a1')).toEqual(['provision cancelled', 'rollback queued']);
    await expect(cancel(operation_id)).rejects.toThrow(ConflictError);
  });

  test('of an active one requests its end, and any later report of it is final', async () => {
    const { operation_id } = await order(at, 'a1');
    const { claim: mine } = await claim(at);
    expect(await cancel(operation_id)).toMatchObject({ status: 'active', cancel_requested: true });
    expect(await settleFailure(at, mine, { error: failed, step: 'creating_server' })).toBe('cancelled');
    expect(await kinds('a1')).toEqual(['provision cancelled', 'rollback queued']);
  });

  test('of a refresh leaves the agent’s health unknown', async () => {
    await running('a1');
    const { operation_id } = await ask(at, 'a1', 'refresh');
    const { claim: mine } = await claim(at);
    await cancel(operation_id);
    await settleFailure(at, mine, { error: new CancelledError('Cancelled'), step: 'refreshing' });
    expect(await getAgent(at.database, 'a1')).toMatchObject({
      status: 'running',
      health: 'healthy',
      error: null,
    });
  });

  test('is refused for operations that free billed resources', async () => {
    await running('a1');
    const { operation_id } = await ask(at, 'a1', 'destroy');
    await expect(cancel(operation_id)).rejects.toThrow(ConflictError);
  });
});

describe('retry', () => {
  test('is the next attempt of the same operation, with its tries reset', async () => {
    await order(at, 'a1');
    const operationId = await failForGood();
    expect(await retry(operationId)).toMatchObject({
      operation_id: operationId,
      status: 'queued',
      attempt: 3,
      retry_count: 0,
      lost_count: 0,
      finished_at: null,
    });
    expect((await claim(at)).row).toMatchObject({ operation_id: operationId, attempt: 4 });
    expect((await getAgent(at.database, 'a1')).status).toBe('provisioning');
  });

  test('drops a queued rollback, which would delete the running agent’s server', async () => {
    await order(at, 'a1');
    const operationId = await failForGood();
    await retry(operationId);
    const { claim: mine } = await claim(at);
    await succeed(at, mine, { kind: 'running', outputs: OUTPUTS });
    expect(await claimNext(at.database, 'w1')).toBeUndefined();
    expect(await kinds('a1')).toEqual(['provision succeeded', 'rollback cancelled']);
  });

  test('waits for an active rollback, whose failure requests no other once the provision has begun', async () => {
    await order(at, 'a1');
    const operationId = await failForGood();
    const { claim: rollback } = await claim(at);
    await retry(operationId);
    expect(await claimNext(at.database, 'w2')).toBeUndefined();
    await succeed(at, rollback, { kind: 'none' });
    expect((await claim(at)).row.kind).toBe('provision');
  });

  test('is refused for active, succeeded and superseded operations', async () => {
    const { operation_id } = await order(at, 'a1');
    await expect(retry(operation_id)).rejects.toThrow(/is queued/);
    const { claim: mine } = await claim(at);
    await expect(retry(operation_id)).rejects.toThrow(/is active/);
    await succeed(at, mine, { kind: 'running', outputs: OUTPUTS });
    await expect(retry(operation_id)).rejects.toThrow(/is succeeded/);
  });

  test('is refused for a provision of an agent that is being destroyed', async () => {
    await order(at, 'a1');
    const operationId = await failForGood();
    await ask(at, 'a1', 'destroy');
    await expect(retry(operationId)).rejects.toThrow(ConflictError);
  });
});

test('a timeline with failures, a retry and a hand-back adds up to its whole length', async () => {
  await order(at, 'a1');
  const { claim: first } = await claim(at);
  await handBack(at, first, 'queued');
  const operationId = await failForGood();
  await retry(operationId);
  const { claim: mine } = await claim(at);
  await succeed(at, mine, { kind: 'running', outputs: OUTPUTS });
  const row = await operation(at, operationId);
  const entries = timeline(row, await readSteps(at.database, operationId));
  expect(entries.map((entry) => entry.step)).toEqual([
    'queued',
    'waiting_to_retry',
    'finished',
    'queued',
    'finished',
  ]);
  const whole = row.finished_at!.getTime() - row.created_at.getTime();
  const parts = entries.reduce((sum, entry) => sum + entry.seconds! * 1000, 0);
  expect(Math.round(parts)).toBe(whole);
});

test('every status change emits an event, with the attempt and what comes next', async () => {
  await order(at, 'a1');
  const operationId = await failForGood();
  const told = (await readEvents(at.database, operationId, 0)).filter((event) => event.type === 'status');
  expect(told.map(({ data }) => [data.status, data.attempt])).toEqual([
    ['queued', 0],
    ['active', 1],
    ['queued', 1],
    ['active', 2],
    ['queued', 2],
    ['active', 3],
    ['failed', 3],
  ]);
  expect(told[2]!.data).toMatchObject({ error: 'Hetzner answered 500', failedStep: 'creating_server' });
  expect(Date.parse(String(told[2]!.data.retryAt))).toBeGreaterThan(told[2]!.at.getTime() + 1_000);
});

async function untilLockWaited({ database }: OperationsFixture): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (Date.now() < deadline) {
    const { rows } = await sql`
      select pid from pg_locks where not granted and locktype in ('transactionid', 'tuple')`.execute(
      database,
    );
    if (rows.length > 0) return;
  }
  throw new Error('No session waits for a lock');
}

test('requests respect the agent’s state', async () => {
  await order(at, 'a1');
  await expect(ask(at, 'a1', 'refresh')).rejects.toThrow(/is requested; refresh is possible while/);
  await expect(ask(at, 'a1', 'provision')).rejects.toThrow(ConflictError);
  await expect(ask(at, 'a1', 'rollback')).rejects.toThrow(ConflictError);
  await expect(ask(at, 'nobody', 'destroy')).rejects.toThrow(/no agent nobody/);
});

test('two identical concurrent requests give one operation and one refusal', async () => {
  await running('a1');
  for (const kind of ['refresh', 'destroy'] as const) {
    const answers = await Promise.allSettled([ask(at, 'a1', kind), ask(at, 'a1', kind), ask(at, 'a1', kind)]);
    expect(answers.map((answer) => answer.status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
    for (const answer of answers)
      if (answer.status === 'rejected') expect(answer.reason).toBeInstanceOf(ConflictError);
  }
});
