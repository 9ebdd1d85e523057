import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { listHolds, stopsAgent } from '../../../src/agents/holds.ts';
import { getAgent } from '../../../src/agents/store.ts';
import type { Transaction } from '../../../src/database/connect.ts';
import { ConflictError, RetryableError } from '../../../src/errors.ts';
import { startWorker } from '../../../src/executors/worker/worker.ts';
import type { Runbook } from '../../../src/operations/attempt.ts';
import { requestHold, requestRelease } from '../../../src/operations/hold-requests.ts';
import { requestOperation } from '../../../src/operations/requests.ts';
import { succeed } from '../../../src/operations/settle.ts';
import { noFence } from '../../../src/pulumi/fence.ts';
import { startQueue } from '../../../src/queue/queue.ts';
import { startFollowingHolds } from '../../../src/reconcile/holds.ts';
import { Secret } from '../../../src/secret.ts';
import { eventually } from '../../support/eventually.ts';
import { toServerId } from '../../support/operation-progress.ts';
import {
  claim,
  listOperations,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
  order,
} from '../../support/operations-fixture.ts';

const AGENTS = ['a1', 'a2', 'a3', 'a4'];
/** A fixed sequence, so that a failure can be repeated. */
let seed = 20_271;
const random = (below: number) => {
  seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
  return Math.floor((seed / 2_147_483_648) * below);
};

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());

const parts: (() => Promise<void>)[] = [];
/** Whether each agent's server is on, as Hetzner knows it. */
const power = new Map<string, boolean>();
/** Servers that changed their power while another operation of the same agent was doing so too. */
const collisions: string[] = [];
const busy = new Set<string>();

beforeEach(async () => {
  await at.empty();
  for (const [index, agentId] of AGENTS.entries()) {
    await order(at, agentId);
    const { claim: mine } = await claim(at);
    const outputs = { ...OUTPUTS, serverId: toServerId(agentId), tailnetIp: `100.64.4.${index + 1}` };
    await succeed(at, mine, { kind: 'running', outputs });
    power.set(agentId, true);
  }
});
afterEach(async () => {
  for (const end of parts.splice(0).reverse()) await end();
});

/** Switches a server in a few milliseconds; every fourth attempt fails, half of those after the switch. */
function switching(to: boolean, effect: string): Runbook {
  return async ({ agent: { agent_id: agentId } }) => {
    if (busy.has(agentId)) collisions.push(agentId);
    busy.add(agentId);
    try {
      const luck = random(8);
      await sleep(random(20));
      if (luck === 0) throw new RetryableError('before the switch');
      power.set(agentId, to);
      await sleep(random(20));
      if (luck === 1) throw new RetryableError('after the switch');
      return { kind: effect };
    } finally {
      busy.delete(agentId);
    }
  };
}

const RUNBOOKS = {
  suspend: switching(false, 'suspended'),
  resume: switching(true, 'resumed'),
  restart: switching(true, 'restarted'),
};

/** A worker with its own queue and its own look at the holds, as in its own process. */
async function start(workerId: string): Promise<void> {
  const queue = await startQueue({ url: new Secret(at.url), log: at.log });
  const { database, log } = at;
  const fence = noFence(new Secret('postgres://state'));
  const worker = await startWorker({
    database,
    queue,
    log,
    fence,
    runbooks: RUNBOOKS,
    retrySeconds: 0.05,
    concurrency: 3,
    workerId,
  });
  const following = startFollowingHolds({ database, queue, log }, 0.2);
  parts.push(async () => {
    await following.stop();
    await worker.stop();
    await queue.stop();
  });
}

const inTransaction = <T>(work: (trx: Transaction) => Promise<T>) => at.database.transaction().execute(work);

/** Does what people and the service do, in random order. */
async function disturb(agentId: string): Promise<void> {
  const reason = random(2) === 0 ? 'abuse' : 'operator';
  const request = { agentId, reason, actor: 'test' } as const;
  const dice = random(5);
  if (dice < 2) await inTransaction((trx) => requestHold(trx, at.queue, { ...request, at: new Date() }));
  else if (dice < 4) await inTransaction((trx) => requestRelease(trx, at.queue, request));
  else
    await inTransaction((trx) =>
      requestOperation(trx, at.queue, { agentId, kind: 'restart', actor: 'test' }),
    ).catch((error: unknown) => {
      if (!(error instanceof ConflictError)) throw error;
    });
  await sleep(random(30));
}

/** Whether the agent is as its holds demand, its server too, and nothing is under way. */
async function isInLine(agentId: string): Promise<boolean> {
  const unfinished = (await listOperations(at, agentId)).some(
    ({ status }) => status === 'queued' || status === 'active',
  );
  const isHeld = (await listHolds(at.database, agentId)).some(({ reason }) => stopsAgent(reason));
  const { status } = await getAgent(at.database, agentId);
  return !unfinished && status === (isHeld ? 'suspended' : 'running') && power.get(agentId) === !isHeld;
}

test('holds and releases that race with the operations they lead to always end right', async () => {
  await start('w1');
  await start('w2');
  await Promise.all(
    AGENTS.map(async (agentId) => {
      for (let n = 0; n < 40; n += 1) await disturb(agentId);
    }),
  );
  // An operation may have failed for good: its pause passes. The order of all operations stays.
  const passAnHour = () =>
    sql`update operations set finished_at = finished_at - interval '1 hour'`.execute(at.database);
  for (const agentId of AGENTS)
    await eventually(
      `${agentId} in line with its holds`,
      async () => {
        if (await isInLine(agentId)) return true;
        await passAnHour();
        return false;
      },
      { withinSeconds: 40 },
    );
  expect(collisions).toEqual([]);
  const kinds = new Set(
    (await at.database.selectFrom('operations').select('kind').execute()).map(({ kind }) => kind),
  );
  expect([...kinds].sort()).toEqual(['provision', 'restart', 'resume', 'suspend']);
});
