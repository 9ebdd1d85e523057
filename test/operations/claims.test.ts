import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { LEASE_SECONDS } from '../../src/config/timing.ts';
import { LostError } from '../../src/errors.ts';
import { createRecorder } from '../../src/executors/worker/recorder.ts';
import { claimNext, lockClaim, recordEvents, renewLease } from '../../src/operations/claims.ts';
import { readEvents } from '../../src/operations/events/events.ts';
import { requestAgent } from '../../src/operations/first-provision.ts';
import { insertOperation } from '../../src/operations/requests.ts';
import { handBack, settleFailure, succeed } from '../../src/operations/settle.ts';
import {
  announcements,
  claim,
  type OperationsFixture,
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

test('a claim increments the attempt, takes a lease, starts the agent’s transition, and emits an event', async () => {
  const queued = await order(at, 'a1');
  const { row } = await claim(at);
  expect(row).toMatchObject({
    operation_id: queued.operation_id,
    status: 'active',
    attempt: 1,
    worker_id: 'w1',
    retry_count: 0,
  });
  expect(row.lease_until!.getTime() - row.claimed_at!.getTime()).toBe(LEASE_SECONDS * 1000);
  expect(row.started_at).toEqual(row.claimed_at);
  const agent = await at.database.selectFrom('agents').selectAll().executeTakeFirstOrThrow();
  expect(agent).toMatchObject({ status: 'provisioning', step: 'queued' });
  expect((await readEvents(at.database, row.operation_id, 0)).map((event) => event.data)).toEqual([
    { status: 'queued', attempt: 0 },
    { status: 'active', attempt: 1 },
  ]);
});

test('fifty concurrent claims take every operation once, and one at a time per agent', async () => {
  for (const agentId of ['a1', 'a2', 'a3', 'a4', 'a5']) {
    await order(at, agentId);
    await at.database
      .transaction()
      .execute((trx) => insertOperation(trx, at.queue, { agentId, kind: 'rollback' }));
  }
  const taken = await Promise.all(
    Array.from({ length: 50 }, (_, index) => claimNext(at.database, `w${index}`)),
  );
  const rows = taken.filter((row) => row !== undefined);
  expect(rows.map((row) => row.kind)).toEqual(rows.map(() => 'provision'));
  expect(new Set(rows.map((row) => row.operation_id)).size).toBe(rows.length);
  // Concurrent claimers skip rows that another one is claiming. One more poll finds the rest, and nothing
  // else.
  for (let more = await claimNext(at.database, 'late'); more; more = await claimNext(at.database, 'late'))
    rows.push(more);
  expect(rows.map((row) => row.agent_id).sort()).toEqual(['a1', 'a2', 'a3', 'a4', 'a5']);
  const active = await at.database
    .selectFrom('operations')
    .select('kind')
    .where('status', '=', 'active')
    .execute();
  expect(active).toHaveLength(5);
});

test('an agent’s operations are claimed in request order, even while the first one waits for its retry', async () => {
  await order(at, 'a1');
  await at.database
    .transaction()
    .execute((trx) => insertOperation(trx, at.queue, { agentId: 'a1', kind: 'rollback' }));
  const first = await claim(at);
  expect(first.row.kind).toBe('provision');
  expect(await claimNext(at.database, 'w2')).toBeUndefined();
  await settleFailure(at, first.claim, { error: new Error('failed'), step: 'creating_server' });
  // The provision waits for its backoff, and so must the more urgent rollback behind it.
  expect(await claimNext(at.database, 'w2')).toBeUndefined();
  await waitOver(at);
  expect((await claim(at)).row.kind).toBe('provision');
});

test('operations that are not due, or that belong to another executor, are not claimed', async () => {
  const { operation_id } = await order(at, 'a1');
  const change = (columns: object) =>
    at.database.updateTable('operations').set(columns).where('operation_id', '=', operation_id).execute();
  await change({ run_after: new Date(Date.now() + 60_000) });
  expect(await claimNext(at.database, 'w1')).toBeUndefined();
  await change({ run_after: new Date(0), executor: 'github-actions' });
  expect(await claimNext(at.database, 'w1')).toBeUndefined();
  await change({ executor: 'local' });
  expect((await claimNext(at.database, 'w1'))?.operation_id).toBe(operation_id);
});

test('urgent operations of other agents go first, then older ones', async () => {
  for (const agentId of ['a1', 'a2', 'a3']) await order(at, agentId);
  await at.database.updateTable('operations').set({ priority: 1 }).where('agent_id', '=', 'a2').execute();
  const taken = [await claim(at), await claim(at), await claim(at)].map(({ row }) => row.agent_id);
  expect(taken).toEqual(['a2', 'a1', 'a3']);
});

test('a renewal extends the lease and reports a cancellation', async () => {
  await order(at, 'a1');
  const { claim: mine, row } = await claim(at);
  await at.database
    .updateTable('operations')
    .set({ lease_until: new Date(Date.now() + 1000) })
    .execute();
  expect(await renewLease(at.database, mine)).toEqual({ cancelRequested: false });
  expect((await operation(at, row.operation_id)).lease_until!.getTime()).toBeGreaterThan(Date.now() + 20_000);
  await at.database.updateTable('operations').set({ cancel_requested: true }).execute();
  expect(await renewLease(at.database, mine)).toEqual({ cancelRequested: true });
});

test('late reports of an earlier attempt change nothing, through any function', async () => {
  await order(at, 'a1');
  const { claim: earlier, row } = await claim(at, 'w1');
  await handBack(at, earlier, 'queued');
  const { claim: present } = await claim(at, 'w1');
  expect(present.attempt).toBe(2);
  const before = {
    row: await operation(at, row.operation_id),
    events: await readEvents(at.database, row.operation_id, 0),
  };
  for (const stale of [earlier, { ...present, workerId: 'another' }, { ...present, attempt: 3 }]) {
    const writes = [
      () => renewLease(at.database, stale),
      () => at.database.transaction().execute((trx) => lockClaim(trx, stale)),
      () => recordEvents(at.database, stale, [{ type: 'log', data: { line: 'late' } }]),
      () => succeed(at, stale, { kind: 'destroyed' }),
      () => handBack(at, stale, 'queued'),
      () => settleFailure(at, stale, { error: new Error('late'), step: 'late' }),
    ];
    for (const write of writes) await expect(write()).rejects.toThrow(LostError);
    const errors: unknown[] = [];
    const recorder = createRecorder(
      at.database,
      { claim: stale, agentId: 'a1', kind: 'provision' },
      (error) => errors.push(error),
    );
    recorder.step('verifying');
    recorder.log('late');
    await recorder.close();
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) expect(error).toBeInstanceOf(LostError);
  }
  expect(await operation(at, row.operation_id)).toEqual(before.row);
  expect(await readEvents(at.database, row.operation_id, 0)).toEqual(before.events);
  expect((await at.database.selectFrom('agents').select('step').executeTakeFirstOrThrow()).step).toBe(
    'queued',
  );
});

test('a flood of log lines keeps every step and the last lines, and reports the gap', async () => {
  await order(at, 'a1');
  const { claim: mine } = await claim(at);
  const errors: unknown[] = [];
  const recorder = createRecorder(at.database, { claim: mine, agentId: 'a1', kind: 'provision' }, (error) =>
    errors.push(error),
  );
  for (let line = 0; line < 40_000; line += 1) recorder.log(`line ${line}`);
  recorder.step('verifying');
  recorder.log(`${'x\n'.repeat(40_000)}the last word`);
  await recorder.close();
  expect(errors).toEqual([]);
  const events = await readEvents(at.database, mine.operationId, 0, 10_000);
  expect(events.at(-1)!.data).toEqual({ line: 'the last word' });
  expect(events.map(({ data }) => data)).toContainEqual({ step: 'verifying' });
  expect(events.filter(({ data }) => /^… \d+ lines omitted/.test(String(data.line)))).not.toEqual([]);
  expect(events.length).toBeLessThan(2_500);
});

test('a finished operation accepts no more reports', async () => {
  await order(at, 'a1');
  const { claim: mine } = await claim(at);
  await settleFailure(at, mine, { error: new LostError('x'), step: 'queued' });
  await expect(recordEvents(at.database, mine, [{ type: 'log', data: { line: 'late' } }])).rejects.toThrow(
    LostError,
  );
});

test('events are numbered without gaps under concurrent writers', async () => {
  await order(at, 'a1');
  const { claim: mine } = await claim(at);
  await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      recordEvents(at.database, mine, [
        { type: 'log', data: { line: `${index} a` } },
        { type: 'log', data: { line: `${index} b` } },
      ]),
    ),
  );
  const events = await readEvents(at.database, mine.operationId, 0);
  expect(events.map((event) => event.sequence)).toEqual(Array.from({ length: 82 }, (_, index) => index + 1));
  const lines = events.slice(2).map((event) => String(event.data.line));
  for (let index = 0; index < lines.length; index += 2) {
    expect(lines[index + 1]).toBe(lines[index]!.replace('a', 'b'));
  }
});

test('a rolled back transaction leaves no operation, no events and no used number', async () => {
  const agent = { agentId: 'a1', userId: 'u1', region: 'eu-central', location: 'nbg1', plan: 'starter' };
  const failing = at.database.transaction().execute(async (trx) => {
    await requestAgent(trx, at.queue, { agent, actor: 'test' });
    throw new Error('the caller changes its mind');
  });
  await expect(failing).rejects.toThrow('changes its mind');
  for (const table of ['agents', 'operations', 'operation_events', 'audit_log'] as const)
    expect(await at.database.selectFrom(table).selectAll().execute()).toEqual([]);
  expect(await announcements(at)).toEqual([]);
});

test('a worker claims nothing in a Hetzner project that it does not have', async () => {
  await order(at, 'a1');
  await at.database.updateTable('agents').set({ project: 'us' }).execute();
  const claimIn = (ownProjects: string[]) =>
    claimNext(at.database, 'w1', 30, { kinds: [], projects: [], ownProjects });
  expect(await claimIn(['default'])).toBeUndefined();
  expect(await claimIn(['default', 'us'])).toMatchObject({ agent_id: 'a1' });
});
