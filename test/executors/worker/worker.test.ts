import { hostname } from 'node:os';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { readResources } from '../../../src/agents/stack-resources.ts';
import { getAgent } from '../../../src/agents/store.ts';
import { createDatabase as createConnection, createPool } from '../../../src/database/connect.ts';
import { CancelledError, LostError, PermanentError } from '../../../src/errors.ts';
import type { AttemptDeps } from '../../../src/executors/worker/attempt.ts';
import { settleDeadWorkers } from '../../../src/executors/worker/expired.ts';
import { startWorker, type Worker } from '../../../src/executors/worker/worker.ts';
import type { Attempt, Runbook } from '../../../src/operations/attempt.ts';
import { cancelOperation } from '../../../src/operations/cancel.ts';
import { readEvents } from '../../../src/operations/events/events.ts';
import { workerTag } from '../../../src/processes/orphans.ts';
import { noFence } from '../../../src/pulumi/fence.ts';
import { startQueue } from '../../../src/queue/queue.ts';
import { Secret } from '../../../src/secret.ts';
import { startProxy } from '../../../tools/faults/database-proxy.ts';
import { toServerId } from '../../support/operation-progress.ts';
import {
  ask,
  claim,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
  operation,
  order,
} from '../../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());

const parts: (() => Promise<void>)[] = [];
beforeEach(() => at.empty());
afterEach(async () => {
  for (const end of parts.splice(0).reverse()) await end();
});

interface Options extends Partial<AttemptDeps> {
  workerId?: string;
  concurrency?: number;
}

/** A worker with its own queue, as in its own process. */
async function start(
  provision: Runbook,
  { workerId = 'w1', concurrency = 2, ...deps }: Options = {},
): Promise<Worker> {
  const queue = await startQueue({ url: new Secret(at.url), log: at.log });
  const worker = await startWorker({
    database: at.database,
    queue,
    log: at.log,
    fence: noFence(new Secret('postgres://state')),
    runbooks: { provision },
    concurrency,
    workerId,
    ...deps,
  });
  parts.push(async () => {
    await worker.stop();
    await queue.stop();
  });
  return worker;
}

async function until<T>(
  look: () => Promise<T | undefined | false> | T | undefined | false,
  what: string,
): Promise<T> {
  const deadline = Date.now() + 12_000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`Not within 12 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
const untilStatus = (operationId: string, status: string) =>
  until(async () => {
    const row = await operation(at, operationId);
    return row.status === status && row;
  }, `operation ${status}`);

let addresses = 0;
/** Each agent needs its own address. */
const nextAddress = () => {
  addresses += 1;
  return `100.64.1.${addresses}`;
};

/** Works until its signal aborts, as an attempt does. */
function endless(begun: (run: Attempt) => void = () => {}): Runbook {
  return (run) =>
    new Promise((_, reject) => {
      run.signal.addEventListener('abort', () => reject(new Error('the engine says something of its own')));
      begun(run);
    });
}

test('an order is taken up at once, reports every step, and ends with the agent running', async () => {
  await start(async (run) => {
    expect(run.agent).toMatchObject({ agent_id: 'a1', status: 'provisioning' });
    expect(run.backendUrl.reveal()).toBe('postgres://state');
    run.step('creating_server');
    run.log('two\nlines');
    run.step('configuring');
    return { kind: 'running', outputs: OUTPUTS };
  });
  const { operation_id } = await order(at, 'a1');
  await untilStatus(operation_id, 'succeeded');
  expect((await getAgent(at.database, 'a1')).status).toBe('running');
  const told = await readEvents(at.database, operation_id, 0);
  expect(told.map(({ type, data }) => `${type} ${data.step ?? data.line ?? data.status}`)).toEqual([
    'status queued',
    'status active',
    'step creating_server',
    'log two',
    'log lines',
    'step configuring',
    'step finished',
    'status succeeded',
  ]);
  expect(told.map((event) => event.sequence)).toEqual(told.map((_, index) => index + 1));
});

test('what an engine run finds of the agent’s own stack is kept, that of others is not', async () => {
  const found = (name: string) => [{ name, type: 'a:b:C', id: null, isGone: false, drift: [] }];
  await start(async (run) => {
    run.foundResources?.('agent-a1', 'up', found('server'));
    run.foundResources?.('foundation-default', 'up', found('firewall'));
    run.foundResources?.('agent-a1', 'renew-key', found('key'));
    return { kind: 'running', outputs: OUTPUTS };
  });
  const { operation_id } = await order(at, 'a1');
  await untilStatus(operation_id, 'succeeded');
  expect(await readResources(at.database, 'a1')).toMatchObject({
    verb: 'up',
    kind: 'provision',
    resources: found('server'),
  });
});

test('Pulumi’s state connection is closed even if the database is away at that moment', async () => {
  let open = 0;
  let tries = 0;
  const leave = async () => {
    tries += 1;
    // Nothing listens there.
    if (tries === 1)
      await createPool(new Secret('postgres://127.0.0.1:1/state'), 1, 'test').query('select 1');
    open -= 1;
  };
  const fence = {
    ...noFence(new Secret('postgres://state')),
    enter: async () => {
      open += 1;
      return { backendUrl: new Secret('postgres://state'), leave };
    },
  };
  await start(async () => ({ kind: 'running', outputs: OUTPUTS }), { fence });
  const { operation_id } = await order(at, 'a1');
  await untilStatus(operation_id, 'succeeded');
  expect({ open, tries }).toEqual({ open: 0, tries: 2 });
});

test('runs no more than its concurrency at once, and every order in the end', async () => {
  let now = 0;
  let most = 0;
  const ids = ['a1', 'a2', 'a3', 'a4', 'a5', 'a6'];
  await start(
    async (run) => {
      most = Math.max(most, ++now);
      // Long enough for a slow machine to take the next one meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 250));
      now -= 1;
      return {
        kind: 'running',
        outputs: { ...OUTPUTS, serverId: toServerId(run.agent.agent_id), tailnetIp: nextAddress() },
      };
    },
    { concurrency: 2 },
  );
  const rows = await Promise.all(ids.map((agentId) => order(at, agentId)));
  for (const { operation_id } of rows) await untilStatus(operation_id, 'succeeded');
  expect(most).toBe(2);
});

test('heartbeats keep the lease for as long as the work takes', async () => {
  const leases: number[] = [];
  const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>();
  await start(
    async (run) => {
      run.lease.onRenewed((untilMs) => leases.push(untilMs));
      await mayEnd;
      return { kind: 'running', outputs: OUTPUTS };
    },
    { leaseSeconds: 4 },
  );
  const { operation_id } = await order(at, 'a1');
  await until(() => leases.length >= 3, 'three renewals');
  const row = await operation(at, operation_id);
  expect(row.lease_until!.getTime()).toBeGreaterThan(Date.now() + 3_000);
  expect(row.last_heartbeat_at!.getTime()).toBeGreaterThan(row.claimed_at!.getTime());
  // The attempt's own deadline comes before the row's lease expires.
  expect(leases.at(-1)).toBeLessThan(row.lease_until!.getTime());
  end();
  await untilStatus(operation_id, 'succeeded');
});

test('a person’s cancellation reaches the work and settles the operation', async () => {
  const reasons: unknown[] = [];
  await start(
    endless((run) => run.signal.addEventListener('abort', () => reasons.push(run.signal.reason))),
    { leaseSeconds: 5 },
  );
  const { operation_id } = await order(at, 'a1');
  await untilStatus(operation_id, 'active');
  await at.database
    .transaction()
    .execute((trx) => cancelOperation(trx, at.queue, { operationId: operation_id, actor: 'test' }));
  expect(await untilStatus(operation_id, 'cancelled')).toMatchObject({ error: 'Cancelled' });
  expect(reasons[0]).toBeInstanceOf(CancelledError);
  expect((await getAgent(at.database, 'a1')).status).toBe('failed');
});

test('a destroy ends the active provision and follows it', async () => {
  const destroyed: string[] = [];
  await start(endless(), {
    leaseSeconds: 5,
    runbooks: {
      provision: endless(),
      destroy: async (run) => {
        destroyed.push(run.agent.status);
        return { kind: 'none' };
      },
    },
  });
  const { operation_id } = await order(at, 'a1');
  await untilStatus(operation_id, 'active');
  const destroy = await ask(at, 'a1', 'destroy');
  await untilStatus(destroy.operation_id, 'succeeded');
  expect((await operation(at, operation_id)).status).toBe('cancelled');
  expect(destroyed).toEqual(['destroying']);
});

test('work beyond its time limit is aborted and counts as a failed try, with the reason', async () => {
  await start(
    endless((run) => run.step('configuring')),
    { limitSeconds: { provision: 0.2 } },
  );
  const { operation_id } = await order(at, 'a1');
  const row = await until(async () => {
    const found = await operation(at, operation_id);
    return found.retry_count === 1 && found;
  }, 'the failed try');
  expect(row).toMatchObject({ failed_step: 'configuring', error: expect.stringMatching(/took longer than/) });
});

test('an operation without a runbook in this version is not lost', async () => {
  await start(endless(), { runbooks: {} });
  const { operation_id } = await order(at, 'a1');
  const row = await until(async () => {
    const found = await operation(at, operation_id);
    return found.retry_count === 1 && found;
  }, 'the failed try');
  expect(row).toMatchObject({ status: 'queued', error: 'This version does not support provision' });
});

test('a permanent failure fails the agent, and the rollback behind it runs', async () => {
  const rolledBack: string[] = [];
  await start(endless(), {
    runbooks: {
      provision: async () => {
        throw new PermanentError('401: the token is wrong');
      },
      rollback: async (run) => {
        rolledBack.push(run.agent.status);
        return { kind: 'none' };
      },
    },
  });
  const { operation_id } = await order(at, 'a1');
  await untilStatus(operation_id, 'failed');
  await until(() => rolledBack.length > 0, 'the rollback');
  expect(rolledBack).toEqual(['failed']);
});

test('a stopping worker hands back its work, and another takes it up as the next attempt', async () => {
  const first = await start(endless(), { workerId: 'w1' });
  const { operation_id } = await order(at, 'a1');
  await untilStatus(operation_id, 'active');
  await first.stop();
  expect(await operation(at, operation_id)).toMatchObject({
    status: 'queued',
    retry_count: 0,
    lost_count: 0,
  });
  const workers = await at.database.selectFrom('workers').selectAll().execute();
  expect(workers).toEqual([]);
  await start(async () => ({ kind: 'running', outputs: OUTPUTS }), { workerId: 'w2' });
  expect(await untilStatus(operation_id, 'succeeded')).toMatchObject({ attempt: 2 });
});

test('a silent worker’s operation is taken up once its lease has expired, and that worker changes nothing any more', async () => {
  const { operation_id } = await order(at, 'a1');
  const { claim: dead } = await claim(at, 'dead');
  await at.database
    .updateTable('operations')
    .set({ lease_until: new Date(Date.now() - 1) })
    .execute();
  await start(async () => ({ kind: 'running', outputs: OUTPUTS }), { workerId: 'w2' });
  const row = await untilStatus(operation_id, 'succeeded');
  expect(row).toMatchObject({ attempt: 2, lost_count: 1, retry_count: 0 });
  expect(dead.attempt).toBe(1);
});

test('the operation of a dead worker on this host is taken up before its lease expires', async () => {
  const { operation_id } = await order(at, 'a1');
  await claim(at, 'dead');
  const other = await order(at, 'a2');
  await claim(at, 'alive');
  await enrol('dead', GONE);
  await enrol('alive', workerTag());
  await settleDeadWorkers(at.database, at.queue, at.log);
  expect(await operation(at, operation_id)).toMatchObject({ status: 'queued', lost_count: 1 });
  expect((await operation(at, other.operation_id)).status).toBe('active');
  const left = await at.database.selectFrom('workers').select('worker_id').execute();
  expect(left).toEqual([{ worker_id: 'alive' }]);
});

/** The tag of a process that had this one's pid before. */
const GONE = workerTag().replace(/^(\d+ \S+) \d+/, '$1 1');
const enrol = (worker_id: string, process: string, seenSecondsAgo = 0) =>
  at.database
    .insertInto('workers')
    .values({
      ...{ worker_id, host: hostname(), process, concurrency: 1 },
      seen_at: new Date(Date.now() - seenSecondsAgo * 1000),
    })
    .execute();

test.skipIf(process.platform !== 'linux').each([
  ['in another container', GONE.replace(/\d+\]$/, '1]')],
  ['on another machine', GONE.replace(/^(\d+) \S+/, '$1 00000000-0000-4000-8000-000000000000')],
  ['of an earlier release', GONE.replace(/ pid:\S+$/, '')],
])('a live worker %s of the same host name keeps its attempt', async (_where, tag) => {
  const { operation_id } = await order(at, 'a1');
  await claim(at, 'other');
  await enrol('other', tag);
  await settleDeadWorkers(at.database, at.queue, at.log);
  expect(await operation(at, operation_id)).toMatchObject({ status: 'active', lost_count: 0 });
  const registered = () => at.database.selectFrom('workers').select('worker_id').execute();
  expect(await registered()).toEqual([{ worker_id: 'other' }]);
  // A row that nobody refreshes goes; the attempt is lost with its lease only.
  await at.database.deleteFrom('workers').execute();
  await enrol('other', tag, 31);
  await settleDeadWorkers(at.database, at.queue, at.log);
  expect(await registered()).toEqual([]);
  expect((await operation(at, operation_id)).status).toBe('active');
});

async function behindProxy() {
  const proxy = await startProxy(at.url);
  const database = createConnection(createPool(new Secret(proxy.url), 4, 'behind a proxy'));
  parts.push(async () => {
    await proxy.restore().catch(() => {});
    await database.destroy();
    await proxy.cut();
  });
  return { proxy, database };
}

test('a database outage shorter than the lease costs neither the work nor its steps', async () => {
  const { proxy, database } = await behindProxy();
  const away = Promise.withResolvers<void>();
  await start(
    async (run) => {
      run.step('creating_server');
      await until(async () => (await readSteps()).includes('creating_server'), 'the first step');
      await proxy.cut();
      run.step('joining_network');
      run.log('while it is away');
      away.resolve();
      return { kind: 'running', outputs: OUTPUTS };
    },
    { database, leaseSeconds: 20 },
  );
  const { operation_id } = await order(at, 'a1');
  async function readSteps(): Promise<unknown[]> {
    return (await readEvents(at.database, operation_id, 0)).map(
      (event) => event.data.step ?? event.data.line,
    );
  }
  await away.promise;
  await proxy.restore();
  expect(await untilStatus(operation_id, 'succeeded')).toMatchObject({
    attempt: 1,
    lost_count: 0,
    retry_count: 0,
  });
  expect(await readSteps()).toEqual(expect.arrayContaining(['joining_network', 'while it is away']));
});

test('a longer database outage ends the work before the lease expires', async () => {
  const { proxy, database } = await behindProxy();
  const ended = Promise.withResolvers<{ reason: unknown; at: number }>();
  await start(
    endless((run) => {
      void proxy.cut();
      run.signal.addEventListener('abort', () =>
        ended.resolve({ reason: run.signal.reason, at: Date.now() }),
      );
    }),
    { database, leaseSeconds: 5 },
  );
  const { operation_id } = await order(at, 'a1');
  const { reason, at: endedAt } = await ended.promise;
  expect(reason).toBeInstanceOf(LostError);
  const row = await operation(at, operation_id);
  expect(row.status).toBe('active');
  expect(endedAt).toBeLessThan(row.lease_until!.getTime());
});
