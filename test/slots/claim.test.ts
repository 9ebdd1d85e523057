import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { parseRecordedInputs } from '../../src/agents/inputs.ts';
import { recordInputs } from '../../src/agents/record-inputs.ts';
import { createVault } from '../../src/agents/secrets.ts';
import { getAgent } from '../../src/agents/store.ts';
import { onlyProject } from '../../src/config/hetzner-projects.ts';
import { jsonText } from '../../src/database/storable.ts';
import { ensureBegun, lockFor } from '../../src/executors/github-actions/attempts.ts';
import { beginHandOvers } from '../../src/executors/worker/begin-hand-overs.ts';
import { settleHandOvers } from '../../src/executors/worker/end-hand-overs.ts';
import { settleExpired } from '../../src/executors/worker/expired.ts';
import { chooseExecutor } from '../../src/operations/executor-choice.ts';
import { requestAgent } from '../../src/operations/first-provision.ts';
import { requestOperation } from '../../src/operations/requests.ts';
import { succeed } from '../../src/operations/settle.ts';
import { beginOnWorker } from '../../src/operations/transitions.ts';
import { listPools } from '../../src/pool/listing.ts';
import { applyProjects } from '../../src/projects/projects.ts';
import { createRemoteSlots } from '../../src/runner/remote-slots.ts';
import { Secret } from '../../src/secret.ts';
import { findClaimed, giveSlotUp, takeOverSlots } from '../../src/slots/claimed.ts';
import { lockSlot } from '../../src/slots/slots.ts';
import type { AgentInputs } from '../../stacks/inputs.ts';
import {
  claim,
  listOperations,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
  waitOver,
} from '../support/operations-fixture.ts';
import { addPool, addSlot, slot } from '../support/slots.ts';

const vault = createVault(new Secret('passphrase'));
let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(() => at.empty());

const order = (agentId: string, plan = 'starter') =>
  at.database.transaction().execute((trx) =>
    requestAgent(trx, at.queue, {
      agent: { agentId, userId: 'u1', region: 'eu-central', location: 'nbg1', plan },
      actor: 'test',
    }),
  );
const claims = () =>
  at.database.selectFrom('slots').select(['slot_id', 'agent_id']).where('status', '=', 'claimed').execute();
const misses = async () =>
  (await at.database.selectFrom('pool_misses').select('agent_id').execute()).map((row) => row.agent_id);

describe('an order', () => {
  test('claims the slot that has waited longest, and its provision leaves time for the hand-over', async () => {
    await addPool(at, 2);
    const first = await addSlot(at, vault);
    await addSlot(at, vault);
    const operation = await order('a1');
    expect(await claims()).toEqual([{ slot_id: first, agent_id: 'a1' }]);
    expect(operation.run_after.getTime()).toBeGreaterThan(operation.created_at.getTime() + 1_000);
    expect(await misses()).toEqual([]);
  });

  test('that is rolled back has claimed nothing', async () => {
    await addPool(at, 1);
    const slotId = await addSlot(at, vault);
    const failing = at.database.transaction().execute(async (trx) => {
      await requestAgent(trx, at.queue, {
        agent: { agentId: 'a1', userId: 'u1', region: 'eu-central', location: 'nbg1', plan: 'starter' },
        actor: 'test',
      });
      throw new Error('rolled back');
    });
    await expect(failing).rejects.toThrow('rolled back');
    expect(await slot(at, slotId)).toMatchObject({ status: 'ready', agent_id: null });
  });

  test('at the same time as others gets a slot of its own; the one too many goes cold and is counted', async () => {
    await addPool(at, 20);
    for (let made = 0; made < 20; made++) await addSlot(at, vault);
    const ids = Array.from({ length: 21 }, (_, index) => `many-${index}`);
    await Promise.all(ids.map((agentId) => order(agentId)));
    const claimed = await claims();
    expect(new Set(claimed.map(({ slot_id: id }) => id)).size).toBe(20);
    expect(new Set(claimed.map(({ agent_id: id }) => id)).size).toBe(20);
    const [missed, ...more] = await misses();
    expect(more).toEqual([]);
    const [cold] = await listOperations(at, missed!);
    expect(cold!.run_after.getTime()).toBeLessThanOrEqual(Date.now());
  });

  test.each([
    ['was made by something else', { fingerprint: 'an old one' }],
    ['has not answered for a while', { checked_at: new Date(Date.now() - 60_000) }],
  ])('does not get a slot that %s', async (_, changes) => {
    await addPool(at, 1);
    await addSlot(at, vault, changes);
    await order('a1');
    expect(await claims()).toEqual([]);
    expect(await misses()).toEqual(['a1']);
  });

  test('of several projects is a miss of the pool in its own, or of the first', async () => {
    onTestFinished(async () => {
      await at.empty();
      await applyProjects(at.database, [onlyProject(new Secret(''))]);
    });
    await applyProjects(at.database, [
      { name: 'first', locations: undefined, mostServers: undefined },
      { name: 'second', locations: undefined, mostServers: undefined },
    ]);
    const missed = async (agentId: string) => {
      const { project } = await at.database
        .selectFrom('pool_misses')
        .select('project')
        .where('agent_id', '=', agentId)
        .executeTakeFirstOrThrow();
      return [(await getAgent(at.database, agentId)).project, project];
    };
    await addPool(at, 1, 'second');
    await order('a1');
    expect(await missed('a1')).toEqual(['first', 'second']);
    await addPool(at, 1, 'first');
    await order('a2');
    expect(await missed('a2')).toEqual(['second', 'second']);
    await order('a3');
    expect(await missed('a3')).toEqual(['first', 'first']);
    const pools = await listPools(at.database);
    expect(pools.map(({ project, misses: count }) => [project, count])).toEqual([
      ['first', 1],
      ['second', 2],
    ]);
  });

  test('gets a slot that is locked at that moment only to be asked for its health', async () => {
    await addPool(at, 1);
    const slotId = await addSlot(at, vault);
    await addSlot(at, vault, { fingerprint: 'an old one' });
    const { promise: checked, resolve: endCheck } = Promise.withResolvers<void>();
    const checking = at.database.transaction().execute(async (trx) => {
      await lockSlot(trx, slotId);
      await checked;
    });
    const ordered = order('a1');
    const looks = () =>
      sql<{ n: number }>`select count(*) as n from pg_stat_activity
      where datname = current_database() and query like '%with wanted as materialized%'`.execute(at.database);
    await vi.waitFor(async () => expect((await looks()).rows[0]!.n).toBeGreaterThan(1));
    endCheck();
    await Promise.all([checking, ordered]);
    expect(await claims()).toEqual([{ slot_id: slotId, agent_id: 'a1' }]);
    expect(await misses()).toEqual([]);
  });

  test('gets one of an old release only while a worker still wants it, and the newest first', async () => {
    await addPool(at, 3);
    const demand = {
      project: 'default',
      location: 'nbg1',
      plan: 'starter',
      size: 2,
      fingerprint: 'the next',
    };
    const since = sql<Date>`now() + interval '1 second'`;
    await at.database
      .insertInto('pool_demands')
      .values({ ...demand, worker_id: 'w2', since })
      .execute();
    for (let made = 0; made < 3; made++) await addSlot(at, vault);
    const next = await addSlot(at, vault, { fingerprint: 'the next' });
    await order('a1');
    expect(await claims()).toEqual([{ slot_id: next, agent_id: 'a1' }]);
    const seen = (ago: string) =>
      at.database
        .updateTable('pool_demands')
        .set({ seen_at: sql`now() - ${ago}::interval` })
        .where('worker_id', '=', 'w1')
        .execute();
    await seen('0 s');
    await order('a2');
    expect(await claims()).toHaveLength(2);
    // It may have been killed: its slots are kept for it, and sold only while it surely lives.
    await seen('5 s');
    await order('a3');
    expect(await misses()).toEqual(['a3']);
    await at.database.deleteFrom('pool_demands').where('worker_id', '=', 'w1').execute();
    await order('a4');
    expect(await misses()).toEqual(['a3', 'a4']);
  });

  test('gets none of a newer release whose worker was killed before a rollback', async () => {
    await addPool(at, 1);
    const newer = {
      project: 'default',
      location: 'nbg1',
      plan: 'starter',
      size: 1,
      fingerprint: 'rolled back',
    };
    await at.database
      .insertInto('pool_demands')
      .values({
        ...newer,
        worker_id: 'w2',
        since: sql<Date>`now() + interval '1 second'`,
        seen_at: sql<Date>`now() - interval '5 seconds'`,
      })
      .execute();
    await addSlot(at, vault, { fingerprint: 'rolled back' });
    await order('a1');
    expect(await misses()).toEqual(['a1']);
    // While no worker has spoken lately, all may only be slow.
    await at.database
      .updateTable('pool_demands')
      .set({ seen_at: sql`now() - interval '5 seconds'` })
      .execute();
    await order('a2');
    expect(await claims()).toHaveLength(1);
  });

  test('does not claim from a pool that no worker keeps, and of another plan', async () => {
    await addPool(at, 1);
    await addSlot(at, vault);
    await order('another', 'pro');
    await at.database
      .updateTable('pool_demands')
      .set({ seen_at: sql`now() - interval '1 minute'` })
      .execute();
    await order('a1');
    expect(await claims()).toEqual([]);
    // Nothing was promised to either.
    expect(await misses()).toEqual([]);
  });
});

test('a destroy before the hand-over takes the slot away, and nobody else gets it', async () => {
  await addPool(at, 1);
  const slotId = await addSlot(at, vault);
  await order('a1');
  await at.database
    .transaction()
    .execute((trx) => requestOperation(trx, at.queue, { agentId: 'a1', kind: 'destroy', actor: 'test' }));
  expect(await slot(at, slotId)).toMatchObject({ status: 'removing', agent_id: null });
  expect(await findClaimed(at.database, 'a1')).toBeUndefined();
  expect((await getAgent(at.database, 'a1')).inputs).toBeNull();
});

const owners = async (names: string[]) =>
  (await at.database.selectFrom('server_names').select('owner_id').where('name', 'in', names).execute()).map(
    (row) => row.owner_id,
  );

/** An agent that has claimed a slot, and got a server of its own all the same. */
async function claimedButOwn() {
  await addPool(at, 1);
  const slotId = await addSlot(at, vault);
  const { inputs, secrets, server_name: name } = await slot(at, slotId);
  await order('a1');
  const own = { ...parseRecordedInputs(inputs), agentId: 'a1', serverName: 'srv-00000000000000000001' };
  await at.database.insertInto('server_names').values({ name: own.serverName, owner_id: 'a1' }).execute();
  await at.database
    .updateTable('agents')
    .set({ inputs: jsonText(own), secrets })
    .execute();
  return { slotId, name: name!, own };
}

test('an agent that runs on another server than its slot’s has not been served, and keeps what is its own', async () => {
  const { slotId, name, own } = await claimedButOwn();
  await waitOver(at);
  const { claim: mine } = await claim(at);
  await succeed(at, mine, { kind: 'running', outputs: OUTPUTS });
  expect(await slot(at, slotId)).toMatchObject({ status: 'removing', served_at: null });
  expect((await listOperations(at, 'a1')).map(({ kind }) => kind)).toEqual(['provision']);
  expect((await getAgent(at.database, 'a1')).inputs).toEqual(own);
  expect(await owners([name])).toEqual([slotId]);
  expect(await owners([own.serverName])).toEqual(['a1']);
});

test('an agent that runs keeps its inputs and keys, even those that name its slot', async () => {
  await addPool(at, 1);
  const slotId = await addSlot(at, vault);
  const { inputs, secrets } = await slot(at, slotId);
  await order('a1');
  const taken = { ...parseRecordedInputs(inputs), agentId: 'a1' } as AgentInputs;
  await at.database.transaction().execute(async (trx) => {
    await takeOverSlots(trx, [{ agentId: 'a1', slotId, inputs: taken, secrets: secrets! }]);
    await trx.updateTable('agents').set({ server_id: '4711' }).execute();
    await giveSlotUp(trx, 'a1', 'it got a server of its own');
  });
  expect(await getAgent(at.database, 'a1')).toMatchObject({ inputs: taken, secrets });
});

test('what an agent has from its slot goes back with it, and names of its own stay', async () => {
  await addPool(at, 1);
  const slotId = await addSlot(at, vault);
  const [first, second] = [vault.joinName(slotId, 1), vault.joinName(slotId, 2)];
  // The slot’s making was recovered with a second key.
  await sql`insert into tailnet_join_names (name, agent_id, key_generation) values (${second}, ${slotId}, 2)`.execute(
    at.database,
  );
  await sql`update slots set inputs = inputs || jsonb_build_object('joinName', ${second}::text)`.execute(
    at.database,
  );
  const { inputs, secrets } = await slot(at, slotId);
  await order('a1');
  const own = vault.joinName('a1', 1);
  await sql`insert into tailnet_join_names (name, agent_id, key_generation) values (${own}, 'a1', 1)`.execute(
    at.database,
  );
  const taken = { ...parseRecordedInputs(inputs), agentId: 'a1' } as AgentInputs;
  await at.database.transaction().execute(async (trx) => {
    await takeOverSlots(trx, [{ agentId: 'a1', slotId, inputs: taken, secrets: secrets! }]);
    await giveSlotUp(trx, 'a1', 'it did not answer');
  });
  const rows = await at.database.selectFrom('tailnet_join_names').select(['name', 'agent_id']).execute();
  expect(new Map(rows.map((row) => [row.name, row.agent_id]))).toEqual(
    new Map([
      [first, slotId],
      [second, slotId],
      [own, 'a1'],
    ]),
  );
});

const install = (executor: 'local' | 'github-actions') =>
  sql`insert into installation (mode, accounts, executor) values ('sandbox', '{}', ${executor})`.execute(
    at.database,
  );

describe('an executor that is changed while a slot is handed over', () => {
  /** An agent whose hand-over is under way when the executor changes. */
  async function handingOver() {
    await addPool(at, 1);
    const slotId = await addSlot(at, vault);
    await order('a1');
    const [queued] = await listOperations(at, 'a1');
    const shared = { database: at.database, log: at.log, workerId: 'w1', vault };
    await install('local');
    const { begun } = await beginHandOvers(shared, [queued!.operation_id]);
    await chooseExecutor(at.database, 'github-actions');
    return { slotId, begun: begun[0]! };
  }

  test('leaves an agent that runs on it, and tells the runner of the slot that is not adopted', async () => {
    const { slotId, begun } = await handingOver();
    await settleHandOvers(at, [{ ...begun, outputs: begun.slot.outputs }]);
    expect((await getAgent(at.database, 'a1')).status).toBe('running');
    const [, adoption] = await listOperations(at, 'a1');
    expect(adoption).toMatchObject({ kind: 'adopt', executor: 'github-actions', status: 'queued' });
    const state = createRemoteSlots((await findClaimed(at.database, 'a1'))?.slotId);
    expect(await state.findUnadopted({} as never)).toBe(slotId);
  });

  test('leaves an order that goes cold on a runner if its worker is gone, and no slot', async () => {
    const { slotId, begun } = await handingOver();
    await at.database
      .updateTable('operations')
      .set({ lease_until: new Date(0) })
      .where('status', '=', 'active')
      .execute();
    expect(await settleExpired(at.database, at.queue, at.log)).toBe(1);
    const [queued] = await listOperations(at, 'a1');
    expect(queued).toMatchObject({ kind: 'provision', status: 'queued', executor: 'github-actions' });
    // The runner makes a server, whatever the slot was.
    expect(await createRemoteSlots(slotId).find({} as never)).toBeUndefined();
    const sender = { jobId: queued!.operation_id, workflowRunId: '7' };
    const row = await at.database.transaction().execute(async (trx) => {
      const locked = await lockFor(trx, new Secret('s'.repeat(32)), sender);
      return ensureBegun(trx, locked, sender, { mayBeginNext: true });
    });
    expect(await slot(at, slotId)).toMatchObject({ status: 'removing', agent_id: null });
    // It gets no inputs and keys of the slot, but makes its own.
    expect(await getAgent(at.database, 'a1')).toMatchObject({ inputs: null, secrets: null });
    const own = {
      ...begun.taken.inputs,
      serverName: 'srv-00000000000000000001',
      joinName: vault.joinName('a1', 1),
    };
    await at.database
      .transaction()
      .execute((trx) => recordInputs(trx, 'a1', { inputs: own, secrets: begun.taken.secrets }));
    await succeed(
      at,
      { operationId: row.operation_id, attempt: 2, workerId: row.worker_id! },
      {
        kind: 'running',
        outputs: OUTPUTS,
      },
    );
    expect(await slot(at, slotId)).toMatchObject({ status: 'removing', served_at: null, agent_id: null });
    // What the worker finds out later changes nothing.
    await settleHandOvers(at, [{ ...begun, outputs: begun.slot.outputs }]);
    const { server_id: serverId, inputs, secrets } = await getAgent(at.database, 'a1');
    expect({ serverId, inputs, secrets }).toEqual({
      serverId: OUTPUTS.serverId,
      inputs: own,
      secrets: begun.taken.secrets,
    });
  });

  test('leaves orders nothing to claim', async () => {
    await addPool(at, 1);
    await addSlot(at, vault);
    await install('github-actions');
    await order('a1');
    expect(await claims()).toEqual([]);
  });
});

test('another executor gives up claims, except those whose hand-over has begun', async () => {
  await addPool(at, 2);
  const waiting = await addSlot(at, vault);
  await order('a1');
  const begun = await addSlot(at, vault);
  await order('a2');
  const { agent_id: first } = await slot(at, waiting);
  const [provision] = await listOperations(at, 'a2');
  await at.database
    .transaction()
    .execute((trx) => beginOnWorker(trx, provision!, { workerId: 'w1', leaseSeconds: 30 }));
  await chooseExecutor(at.database, 'github-actions');
  expect(first).toBe('a1');
  expect(await slot(at, waiting)).toMatchObject({ status: 'removing', agent_id: null });
  expect(await slot(at, begun)).toMatchObject({ status: 'claimed', agent_id: 'a2' });
});

test('no agent can be ordered under the id of a slot', async () => {
  const { agentIdSchema } = await import('../../src/agents/new-agent.ts');
  expect(agentIdSchema.safeParse(`slot-${'0'.repeat(24)}`).success).toBe(false);
  expect(agentIdSchema.safeParse('slot-0').success).toBe(true);
});
