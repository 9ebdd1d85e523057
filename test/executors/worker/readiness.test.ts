import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { PermanentError, RateLimitedError, ShortageError } from '../../../src/errors.ts';
import { type Readiness, tellWaiting } from '../../../src/executors/worker/readiness.ts';
import { startWorker, type Worker } from '../../../src/executors/worker/worker.ts';
import { registerWorker, unregisterWorker } from '../../../src/executors/worker/workers.ts';
import { presentOperations } from '../../../src/http/operations/present-operations.ts';
import type { Runbook } from '../../../src/operations/attempt.ts';
import { cancelOperation } from '../../../src/operations/cancel.ts';
import { readEvents } from '../../../src/operations/events/events.ts';
import type { OperationKind } from '../../../src/operations/states.ts';
import { noFence } from '../../../src/pulumi/fence.ts';
import { startQueue } from '../../../src/queue/queue.ts';
import { tellStalled } from '../../../src/reconcile/stalled.ts';
import { Secret } from '../../../src/secret.ts';
import {
  listOperations,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
  operation,
  order,
} from '../../support/operations-fixture.ts';

let at: OperationsFixture;
let ends: (() => Promise<void>)[];
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  ends = [];
});
afterEach(async () => {
  for (const end of ends) await end();
});

/** A configuration that is wrong while `wrong` is set. */
function configuration(wrong?: string) {
  const state = { wrong, rechecks: 0, onRecheck: () => {} };
  const readiness = {
    waitReason: (_kind: OperationKind) => state.wrong,
    recheck: async () => {
      state.rechecks += 1;
      state.onRecheck();
    },
  };
  return { state, readiness };
}

async function start(
  readiness: Readiness,
  provision: Runbook = async () => ({ kind: 'running', outputs: OUTPUTS }),
): Promise<Worker> {
  const queue = await startQueue({ url: new Secret(at.url), log: at.log });
  const worker = await startWorker({
    database: at.database,
    queue,
    log: at.log,
    fence: noFence(new Secret('postgres://state')),
    runbooks: { provision },
    concurrency: 1,
    workerId: 'w1',
    readiness,
  });
  // As the monitor records it.
  await at.database
    .insertInto('checks')
    .values({
      worker_id: 'w1',
      name: 'cloud',
      ok: readiness.waitReason('provision') === undefined,
      blocks: true,
      detail: 'd',
      cure: 'c',
    })
    .execute();
  ends.push(async () => {
    await worker.stop();
    await queue.stop();
  });
  return worker;
}

const until = (isSo: (row: Awaited<ReturnType<typeof operation>>) => boolean, id: string) =>
  vi.waitFor(
    async () => {
      const row = await operation(at, id);
      if (!isSo(row)) throw new Error(JSON.stringify(row));
      return row;
    },
    { timeout: 20_000, interval: 50 },
  );

test('an order waits with the reason while the configuration is wrong, and continues once it is fixed', async () => {
  const { state, readiness } = configuration('Waits until the token is right');
  await start(readiness);
  const { operation_id: id } = await order(at, 'a1');
  const waiting = await until((row) => row.waits_for !== null, id);
  expect(waiting).toMatchObject({ status: 'queued', attempt: 0, retry_count: 0, error: null });
  const [presented] = await presentOperations(at.database, [waiting]);
  expect(presented?.error).toBe('Waits until the token is right');
  const lines = (await readEvents(at.database, id, 0)).flatMap(({ data }) => data.line ?? []);
  expect(lines).toEqual(['Waits until the token is right']);
  // The stall check need not report it again.
  expect(await tellStalled(at, 0)).toBe(0);
  state.wrong = undefined;
  expect(await until((row) => row.status === 'succeeded', id)).toMatchObject({ waits_for: null, attempt: 1 });
});

test('a try that fails while the configuration is wrong does not count, whatever its error', async () => {
  const { state, readiness } = configuration();
  state.onRecheck = () => {
    state.wrong = 'Waits until the token is right';
  };
  let tries = 0;
  await start(readiness, async () => {
    tries += 1;
    if (tries === 1) throw new PermanentError('unable to authenticate (unauthorized)');
    return { kind: 'running', outputs: OUTPUTS };
  });
  const { operation_id: id } = await order(at, 'a1');
  const waiting = await until((row) => row.status === 'queued' && row.attempt === 1, id);
  expect(waiting).toMatchObject({ retry_count: 0, lost_count: 0 });
  const lines = (await readEvents(at.database, id, 0)).map(({ data }) => String(data.line ?? ''));
  expect(lines).toContain('unable to authenticate (unauthorized)\nWaits until the token is right');
  state.wrong = undefined;
  expect(await until((row) => row.status === 'succeeded', id)).toMatchObject({ attempt: 2, retry_count: 0 });
});

test('a try that fails on a spent quota is retried patiently, without another check of the quota', async () => {
  const { state, readiness } = configuration();
  state.onRecheck = () => {
    state.wrong = 'no answer';
  };
  await start(readiness, async () => {
    throw new RateLimitedError('429 (rate_limit_exceeded)', { seconds: 60 });
  });
  const { operation_id: id } = await order(at, 'a1');
  const waiting = await until((row) => row.status === 'queued' && row.attempt === 1, id);
  expect(waiting).toMatchObject({ retry_count: 1 });
  expect(waiting.run_after.getTime()).toBeGreaterThan(waiting.updated_at.getTime() + 50_000);
  expect(state.rechecks).toBe(0);
});

test('a configuration that is fine at every check but wrong after every failure does not retry forever', async () => {
  const { state, readiness } = configuration();
  state.onRecheck = () => {
    state.wrong = 'Waits until the token is right';
    setTimeout(() => {
      state.wrong = undefined;
    }, 5);
  };
  const { operation_id: id } = await order(at, 'a1');
  // As many losses as an unreliable cloud may have caused before. Set before the worker starts, which would
  // claim the first attempt.
  await at.database.updateTable('operations').set({ attempt: 18 }).where('operation_id', '=', id).execute();
  await start(readiness, async () => {
    throw new PermanentError('unable to authenticate (unauthorized)');
  });
  const failed = await until((row) => row.status === 'failed', id);
  expect(failed).toMatchObject({ attempt: 21, error: 'unable to authenticate (unauthorized)' });
});

test('two workers with different reasons do not log them to an order again and again', async () => {
  const { operation_id: id } = await order(at, 'a1');
  const [one, other] = [configuration('Waits for the plugins'), configuration('Waits for the tailnet')];
  for (let look = 0; look < 5; look++)
    for (const { readiness } of [one, other]) await tellWaiting(at.database, readiness);
  const lines = (await readEvents(at.database, id, 0)).flatMap(({ data }) => data.line ?? []);
  expect(lines).toEqual(['Waits for the plugins', 'Waits for the tailnet']);
});

test('a try that fails for another reason fails, after a check of the configuration', async () => {
  const { state, readiness } = configuration();
  await start(readiness, async () => {
    throw new PermanentError('no such server type');
  });
  const { operation_id: id } = await order(at, 'a1');
  const failed = await until((row) => row.status === 'failed', id);
  expect(failed).toMatchObject({ error: 'no such server type', retry_count: 1 });
  expect(state.rechecks).toBeGreaterThanOrEqual(1);
});

test('an order that waits for what is sold out says so until it is tried again, and then succeeds', async () => {
  const { state, readiness } = configuration();
  let tries = 0;
  await start(readiness, async () => {
    if (tries++ === 0) throw new ShortageError('Waiting for a server');
    return { kind: 'running', outputs: OUTPUTS };
  });
  const { operation_id: id } = await order(at, 'a1');
  await until((row) => row.waits_for !== null, id);
  // Looks that find a working configuration leave it.
  await tellWaiting(at.database, readiness);
  const waiting = await operation(at, id);
  expect(waiting).toMatchObject({ status: 'queued', waits_for: 'Waiting for a server', retry_count: 0 });
  expect(state.rechecks).toBe(0);
  await at.database.updateTable('operations').set({ run_after: new Date() }).execute();
  const done = await until((row) => row.status === 'succeeded', id);
  expect(done).toMatchObject({ waits_for: null, retry_count: 0, attempt: 2 });
});

test('a waiting order can be cancelled', async () => {
  const { readiness } = configuration('Waits until the token is right');
  await start(readiness);
  const { operation_id: id } = await order(at, 'a1');
  await until((row) => row.waits_for !== null, id);
  await at.database
    .transaction()
    .execute((trx) => cancelOperation(trx, at.queue, { operationId: id, actor: 'test' }));
  expect(await operation(at, id)).toMatchObject({ status: 'cancelled', waits_for: null });
});

test('nothing is reported while another worker is ready, since that one takes the order', async () => {
  const { readiness } = configuration('Waits until the token is right');
  const { operation_id: id } = await order(at, 'a1');
  await registerWorker(at.database, { workerId: 'well', concurrency: 1 });
  await tellWaiting(at.database, readiness);
  expect(await operation(at, id)).toMatchObject({ status: 'queued', waits_for: null });
  await unregisterWorker(at.database, 'well');
  await tellWaiting(at.database, readiness);
  expect((await operation(at, id)).waits_for).toBe('Waits until the token is right');
});

test('where one Hetzner project is out of reach, only what is in it waits, and says so', async () => {
  await order(at, 'away');
  await order(at, 'here');
  await at.database.updateTable('agents').set({ project: 'us' }).where('agent_id', '=', 'away').execute();
  const reasons = new Map([['us', 'Waits until HCLOUD_TOKEN_US is right']]);
  const readiness = { ...configuration().readiness, projectReasons: () => reasons };
  await start(readiness, async ({ agent: { agent_id: agentId } }) => {
    const [serverId, tailnetIp] = agentId === 'away' ? ['2', '100.64.0.2'] : ['1', '100.64.0.1'];
    return { kind: 'running', outputs: { ...OUTPUTS, serverId, tailnetIp } };
  });
  const wrong = { ok: false, blocks: false, detail: 'd', cure: 'c' };
  await at.database
    .insertInto('checks')
    .values({ ...wrong, worker_id: 'w1', name: 'hetzner:us' })
    .execute();
  const { operation_id: here } = (await listOperations(at, 'here'))[0]!;
  const { operation_id: away } = (await listOperations(at, 'away'))[0]!;
  await until((row) => row.status === 'succeeded', here);
  const told = await until((row) => row.waits_for !== null, away);
  expect(told).toMatchObject({ status: 'queued', attempt: 0, waits_for: reasons.get('us') });
  // Another worker whose check of the project passes would take it.
  await registerWorker(at.database, { workerId: 'well', concurrency: 1 });
  await at.database.updateTable('operations').set({ waits_for: null }).execute();
  await tellWaiting(at.database, readiness);
  expect((await operation(at, away)).waits_for).toBeNull();
  await unregisterWorker(at.database, 'well');
  reasons.clear();
  await until((row) => row.status === 'succeeded', away);
});

test('a try that fails because its project is out of reach does not count', async () => {
  const reasons = new Map<string, string>();
  const { state, readiness } = configuration();
  state.onRecheck = () => void reasons.set('default', 'Waits until HCLOUD_TOKEN is right');
  await start({ ...readiness, projectReasons: () => reasons }, async () => {
    throw new PermanentError('unauthorized');
  });
  const wrong = { ok: false, blocks: false, detail: 'd', cure: 'c' };
  await at.database
    .insertInto('checks')
    .values({ ...wrong, worker_id: 'w1', name: 'hetzner:default' })
    .execute();
  const { operation_id: id } = await order(at, 'a1');
  const waiting = await until((row) => row.waits_for !== null, id);
  expect(waiting).toMatchObject({ status: 'queued', retry_count: 0, waits_for: reasons.get('default') });
});

test('an operation in a Hetzner project that no worker has says so, until one has it', async () => {
  const { operation_id: id } = await order(at, 'a1');
  await at.database.updateTable('agents').set({ project: 'us' }).execute();
  const { readiness } = configuration();
  const waitsFor = async () => {
    await tellWaiting(at.database, readiness, ['default']);
    return (await operation(at, id)).waits_for;
  };
  expect(await waitsFor()).toContain('No worker has the Hetzner project');
  await registerWorker(at.database, { workerId: 'newer', concurrency: 1 });
  await at.database
    .insertInto('checks')
    .values({ worker_id: 'newer', name: 'hetzner:us', ok: true, blocks: false, detail: 'd' })
    .execute();
  await at.database.updateTable('operations').set({ waits_for: null }).execute();
  expect(await waitsFor()).toBeNull();
  await unregisterWorker(at.database, 'newer');
});
