import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { completeInputs } from '../../../src/agents/inputs.ts';
import type { AgentKeys } from '../../../src/agents/secrets.ts';
import { getAgent, lockAgent } from '../../../src/agents/store.ts';
import { createPool } from '../../../src/database/connect.ts';
import { RetryableError } from '../../../src/errors.ts';
import { beginHandOvers, findWaiting } from '../../../src/executors/worker/begin-hand-overs.ts';
import { settleHandOvers } from '../../../src/executors/worker/end-hand-overs.ts';
import { settleExpired } from '../../../src/executors/worker/expired.ts';
import { startHandOvers } from '../../../src/executors/worker/hand-over-lane.ts';
import { readEvents } from '../../../src/operations/events/events.ts';
import { readLedger } from '../../../src/operations/ledger.ts';
import { createRunbooks } from '../../../src/operations/runbooks.ts';
import { handBack, succeed } from '../../../src/operations/settle.ts';
import { createSlotParts } from '../../../src/operations/slot-parts.ts';
import { StackExistsError, StackNotFoundError } from '../../../src/pulumi/errors.ts';
import { adopt } from '../../../src/runbooks/adopt.ts';
import { provision } from '../../../src/runbooks/provision.ts';
import { takeStackOver } from '../../../src/runbooks/steps/adoption.ts';
import { Secret } from '../../../src/secret.ts';
import type { Tenant } from '../../../src/tailnet/hand-over.ts';
import {
  ask,
  claim,
  listOperations,
  type OperationsFixture,
  openOperations,
  order,
  waitOver,
} from '../../support/operations-fixture.ts';
import {
  createRunbookFixture,
  prepareAttempt,
  type RunbookFixture,
  server,
  sshKey,
} from '../../support/runbook-fixture.ts';
import { addPool, addSlot, slot } from '../../support/slots.ts';
import { stampAsNew } from '../../support/stamp.ts';

const WAIT = { timeout: 20_000 };
let at: OperationsFixture;
let fixture: RunbookFixture;
let lane: { stop(): Promise<void> } | undefined;
let tenants: [string, Tenant][];
let failure: Error | undefined;
let canReach = true;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  fixture = createRunbookFixture(at);
  tenants = [];
  failure = undefined;
  canReach = true;
  await addPool(at, 1);
});
afterEach(async () => {
  await lane?.stop();
  lane = undefined;
});

const handOver = async (tailnetIp: string, tenant: Tenant) => {
  tenants.push([tailnetIp, tenant]);
  if (failure !== undefined) throw failure;
};
const start = () => {
  const { vault, health } = fixture.deps;
  const shared = { database: at.database, queue: at.queue, log: at.log, workerId: 'w1' };
  const way = { handOver, canReach: async () => canReach };
  lane = startHandOvers({ ...shared, vault, health, ...way, subscribe: () => () => {} });
};
const agent = () => getAgent(at.database, 'a1');
const owner = async (name: string) =>
  (
    await at.database
      .selectFrom('server_names')
      .select('owner_id')
      .where('name', '=', name)
      .executeTakeFirst()
  )?.owner_id;

test('the agent runs on its slot’s server, with a new host key, and its adoption is queued', async () => {
  const slotId = await addSlot(at, fixture.vault);
  const before = await slot(at, slotId);
  await order(at, 'a1');
  start();
  await vi.waitFor(async () => expect((await agent()).status).toBe('running'), WAIT);
  const { inputs, secrets, server_id: serverId, tailnet_node_id: nodeId } = await agent();
  expect([serverId, nodeId]).toEqual([before.server_id, before.tailnet_node_id]);
  expect(completeInputs('a1', inputs)).toMatchObject({ agentId: 'a1', serverName: before.server_name });
  const old = fixture.vault.open(slotId, before.secrets!);
  const keys = fixture.vault.open('a1', secrets!);
  expect(keys).toMatchObject({ hostPublicKey: old.nextHostPublicKey, sshPublicKey: old.sshPublicKey });
  expect([old.hostPublicKey, old.nextHostPublicKey]).not.toContain(keys.nextHostPublicKey);
  expect(tenants).toEqual([[before.tailnet_ip, expect.objectContaining({ agentId: 'a1', ...pick(keys) })]]);
  expect(await owner(before.server_name!)).toBe('a1');
  expect((await readLedger(at.database, 'a1'))?.way).toBe('warm');
  const [first, second] = await listOperations(at, 'a1');
  expect([first!.status, second!.kind, second!.status]).toEqual(['succeeded', 'adopt', 'queued']);
  expect(await slot(at, slotId)).toMatchObject({ status: 'claimed', served_by: first!.operation_id });
});

const pick = ({ nextHostPrivateKey, nextHostPublicKey, hostPublicKey, sshPrivateKey }: AgentKeys) => ({
  nextHostPrivateKey,
  nextHostPublicKey,
  hostPublicKey,
  sshPrivateKey,
});

const traces = async (agentId: string) => {
  const audited = await at.database
    .selectFrom('audit_log')
    .select(['actor', 'action', 'details'])
    .where('agent_id', '=', agentId)
    .orderBy('action')
    .execute();
  const notices = await at.database
    .selectFrom('notices')
    .select(['type', 'key', 'data'])
    .where('agent_id', '=', agentId)
    .execute();
  const operations = await listOperations(at, agentId);
  const events = await Promise.all(operations.map((one) => readEvents(at.database, one.operation_id, 0)));
  const found = { audited, notices, events: events.flat().map(({ at: _, ...event }) => event) };
  return JSON.stringify(found).replaceAll(agentId, '<agent>');
};

test('hand-overs of one moment leave what each alone leaves, and one that is cancelled or lost changes no other', async () => {
  for (let made = 0; made < 5; made++) await addSlot(at, fixture.vault);
  const deps = { ...fixture.deps, database: at.database, queue: at.queue, log: at.log, workerId: 'w1' };
  const begin = async (...ids: string[]) => {
    const orders = await Promise.all(ids.map((id) => order(at, id)));
    const { begun } = await beginHandOvers(
      deps,
      orders.map((one) => one.operation_id),
    );
    return begun.map((one) => ({ ...one, outputs: one.slot.outputs }));
  };
  await settleHandOvers(at, await begin('alone'));
  const group = await begin('b1', 'b2', 'b3', 'b4');
  expect(group).toHaveLength(4);
  const [, , cancelled, lost] = group;
  await sql`update operations set cancel_requested = true where operation_id = ${cancelled!.claim.operationId}`.execute(
    at.database,
  );
  await sql`update operations set attempt = attempt + 1 where operation_id = ${lost!.claim.operationId}`.execute(
    at.database,
  );
  await settleHandOvers(at, group);
  // Again, as after a commit whose answer was lost.
  await settleHandOvers(at, group);
  const status = async (id: string) => (await getAgent(at.database, id)).status;
  expect(await Promise.all([1, 2, 3, 4].map((n) => status(group[n - 1]!.agentId)))).toEqual([
    'running',
    'running',
    'failed',
    'provisioning',
  ]);
  const alone = await traces('alone');
  expect(await traces(group[0]!.agentId)).toBe(alone);
  expect(await traces(group[1]!.agentId)).toBe(alone);
  expect(alone).toContain('agent.became-running');
});

test('many hand-overs of one moment need no more statements than one', async () => {
  let statements = 0;
  const counted = at.database.withPlugin({
    transformQuery: ({ node }) => {
      statements += 1;
      return node;
    },
    transformResult: async ({ result }) => result,
  });
  for (let made = 0; made < 6; made++) await addSlot(at, fixture.vault);
  const deps = { ...fixture.deps, database: counted, queue: at.queue, log: at.log, workerId: 'w1' };
  const count = async (ids: string[]) => {
    const orders = await Promise.all(ids.map((id) => order(at, id)));
    statements = 0;
    const { begun } = await beginHandOvers(
      deps,
      orders.map((one) => one.operation_id),
    );
    await settleHandOvers(
      deps,
      begun.map((one) => ({ ...one, outputs: one.slot.outputs })),
    );
    expect(begun).toHaveLength(ids.length);
    return statements;
  };
  const alone = await count(['a1']);
  expect(await count(['b1', 'b2', 'b3', 'b4', 'b5'])).toBe(alone);
  expect(alone).toBeLessThan(24);
});

test('nothing is handed over before it is known again what belongs to whom', async () => {
  await addSlot(at, fixture.vault);
  const { operation_id: id } = await order(at, 'a1');
  const deps = { database: at.database, vault: fixture.vault, workerId: 'w1', log: at.log };
  await stampAsNew(at.database);
  await sql`update installation set recovery = 'needed'`.execute(at.database);
  expect(await findWaiting(at.database)).toEqual([]);
  expect(await beginHandOvers(deps, [id])).toEqual({ begun: [], locked: [] });
  await sql`update installation set recovery = 'none'`.execute(at.database);
  expect(await findWaiting(at.database)).toEqual([id]);
  expect((await beginHandOvers(deps, [id])).begun).toHaveLength(1);
});

test('one hand-over that cannot begin keeps no other from it', async () => {
  const broken = await addSlot(at, fixture.vault);
  await sql`update slots set secrets = 'x'::bytea`.execute(at.database);
  await addSlot(at, fixture.vault);
  const [first, second] = [await order(at, 'a1'), await order(at, 'a2')];
  const deps = { ...fixture.deps, database: at.database, log: at.log, workerId: 'w1' };
  const { begun } = await beginHandOvers(deps, [first.operation_id, second.operation_id]);
  expect(begun.map(({ agentId }) => agentId)).toEqual(['a2']);
  expect(await slot(at, broken)).toMatchObject({ status: 'claimed', agent_id: 'a1' });
});

test('one whose agent somebody has locked for a moment is handed over right after', async () => {
  await addSlot(at, fixture.vault);
  const { operation_id: operationId } = await order(at, 'a1');
  const deps = { ...fixture.deps, database: at.database, log: at.log, workerId: 'w1' };
  await at.database.transaction().execute(async (trx) => {
    await lockAgent(trx, 'a1');
    expect(await beginHandOvers(deps, [operationId])).toEqual({ begun: [], locked: [operationId] });
  });
  expect((await beginHandOvers(deps, [operationId])).begun).toHaveLength(1);
});

test('a slot that fails its claim is removed, and the order goes cold at once', async () => {
  const slotId = await addSlot(at, fixture.vault);
  const { server_name: name } = await slot(at, slotId);
  failure = new RetryableError('the machine is gone');
  await order(at, 'a1');
  start();
  await vi.waitFor(async () => expect((await slot(at, slotId)).status).toBe('removing'), WAIT);
  expect(await slot(at, slotId)).toMatchObject({ agent_id: null, error: expect.stringContaining('is gone') });
  expect(await owner(name!)).toBe(slotId);
  const { row } = await claim(at);
  expect(row).toMatchObject({ kind: 'provision', attempt: 2, retry_count: 0 });
  const { run } = await prepareAttempt(at, row, fixture);
  await provision.run({ ...fixture.deps, slots: createSlotParts(at.database, handOver) })(run);
  expect(fixture.calls).toContain('up agent');
  // It has names and keys of its own.
  const { inputs } = await agent();
  expect(inputs).toMatchObject({ agentId: 'a1', serverName: 'agent-a1' });
});

test('a worker that has lost the tailnet leaves the hand-over to another, and the slot is kept', async () => {
  const slotId = await addSlot(at, fixture.vault);
  failure = new RetryableError('no route');
  canReach = false;
  await order(at, 'a1');
  start();
  const first = async () => (await listOperations(at, 'a1'))[0]!;
  await vi.waitFor(async () => {
    expect(await first()).toMatchObject({ attempt: 1, status: 'queued', retry_count: 0, lost_count: 0 });
  }, WAIT);
  expect((await first()).run_after.getTime()).toBeLessThanOrEqual(Date.now());
  expect(await slot(at, slotId)).toMatchObject({ status: 'claimed', agent_id: 'a1' });
  const { secrets } = await agent();
  const { row } = await claim(at, 'w2');
  const { run } = await prepareAttempt(at, row, fixture);
  // Its own places do not take the slot away either.
  const same = createSlotParts(at.database, handOver, async () => canReach);
  await expect(provision.run({ ...fixture.deps, slots: same })(run)).rejects.toThrow('cannot reach servers');
  failure = undefined;
  const other = createSlotParts(at.database, handOver);
  expect(await provision.run({ ...fixture.deps, slots: other })(run)).toMatchObject({
    outputs: { serverName: (await slot(at, slotId)).server_name },
  });
  expect((await agent()).secrets).toEqual(secrets);
});

test('a slot whose device is another agent’s goes cold when its hand-over ends', async () => {
  const slotId = await addSlot(at, fixture.vault);
  await order(at, 'a1');
  await order(at, 'other');
  const { tailnet_ip: ip } = await slot(at, slotId);
  await sql`update agents set tailnet_ip = ${ip} where agent_id = 'other'`.execute(at.database);
  start();
  await vi.waitFor(async () => expect((await slot(at, slotId)).status).toBe('removing'), WAIT);
  expect((await listOperations(at, 'a1'))[0]).toMatchObject({ status: 'queued', retry_count: 0 });
});

test('if the database goes away while each hand-over begins alone, what has begun goes on', async () => {
  for (let made = 0; made < 3; made++) await addSlot(at, fixture.vault);
  const orders = [await order(at, 'a1'), await order(at, 'a2'), await order(at, 'a3')];
  const ids = orders.map((one) => one.operation_id);
  const nowhere = createPool(new Secret('postgres://nobody@127.0.0.1:1/none'), 1, 'test');
  const unavailable = await nowhere.connect().catch((error: unknown) => error);
  await nowhere.end();
  let transactions = 0;
  const database = new Proxy(at.database, {
    get: (target, name) => {
      if (name !== 'transaction') return Reflect.get(target, name);
      transactions += 1;
      if (transactions === 1) throw new Error('together it cannot');
      if (transactions === 3) throw unavailable;
      return target.transaction.bind(target);
    },
  });
  const { begun, locked } = await beginHandOvers(
    { ...fixture.deps, database, log: at.log, workerId: 'w1' },
    ids,
  );
  expect(begun.map(({ agentId }) => agentId)).toEqual(['a1']);
  expect(locked).toEqual(ids.slice(1));
});

test('a worker that dies after the claim of the operation leaves it to the next attempt, with the same keys', async () => {
  const slotId = await addSlot(at, fixture.vault);
  await order(at, 'a1');
  let died = false;
  const { vault, health } = fixture.deps;
  const shared = { database: at.database, queue: at.queue, log: at.log, workerId: 'w1', leaseSeconds: 1 };
  const dying = startHandOvers({
    ...shared,
    vault,
    health,
    canReach: async () => true,
    // It never comes back from here, as far as the rows know: another worker finds its lease expired.
    handOver: async (_ip, _tenant, signal) => {
      died = true;
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
    subscribe: () => () => {},
  });
  await vi.waitFor(() => expect(died).toBe(true), WAIT);
  const { secrets } = await agent();
  await at.database
    .updateTable('operations')
    .set({ lease_until: new Date(0) })
    .where('status', '=', 'active')
    .execute();
  expect(await settleExpired(at.database, at.queue, at.log)).toBe(1);
  await waitOver(at);
  const { row } = await claim(at, 'w2');
  const { run } = await prepareAttempt(at, row, fixture);
  const slots = createSlotParts(at.database, handOver);
  const effect = await provision.run({ ...fixture.deps, slots })(run);
  expect(effect).toMatchObject({
    kind: 'running',
    outputs: { serverName: (await slot(at, slotId)).server_name },
  });
  expect((await agent()).secrets).toEqual(secrets);
  expect(tenants).toHaveLength(1);
  // What the first worker finds out later changes nothing.
  await dying.stop();
  expect(await slot(at, slotId)).toMatchObject({ status: 'claimed', agent_id: 'a1' });
});

/** An agent that runs on its slot's server, and the claim of its adoption. */
async function served() {
  const slotId = await addSlot(at, fixture.vault);
  await order(at, 'a1');
  start();
  await vi.waitFor(async () => expect((await agent()).status).toBe('running'), WAIT);
  await lane?.stop();
  const { server_id: serverId, server_name: name, tailnet_node_id: nodeId, tailnet_ip: ip } = await agent();
  const { operationId } = (await agent()).inputs!;
  const labels = { 'agent-id': slotId, 'operation-id': operationId!, 'managed-by': 'agents' };
  fixture.servers.push({ ...server('a1', Number(serverId)), name: name!, labels });
  fixture.sshKeys.push({ ...sshKey('a1', 8), name: name!, labels });
  fixture.devices.push({
    nodeId: nodeId!,
    name: `${slotId}.tail.ts.net`,
    hostname: 'join-x',
    addresses: [ip!, '100.64.0.1'],
    tags: ['tag:agent'],
  });
  await waitOver(at);
  return { slotId, row: (await claim(at)).row };
}

const adoptionParts = () => ({ ...fixture.deps, slots: createSlotParts(at.database, handOver) });

test('an adoption labels the server, renames the stack and the device, and applies the agent’s inputs', async () => {
  const { slotId, row } = await served();
  const { run } = await prepareAttempt(at, row, fixture);
  expect(await adopt.run(adoptionParts())(run)).toMatchObject({ kind: 'adopted' });
  expect(fixture.servers[0]!.labels).toMatchObject({ 'agent-id': 'a1' });
  expect(fixture.sshKeys[0]!.labels).toMatchObject({ 'agent-id': 'a1' });
  expect(fixture.names).toEqual([expect.stringMatching(/ agent-a1$/)]);
  const order = fixture.calls.filter((call) => /^(rename|forget|up)/.test(call));
  expect(order).toEqual([`rename ${slotId} agent-a1`, `forget ${slotId}`, 'up agent']);
});

test('an adoption that is killed at any call is completed by the next attempt', async () => {
  const { slotId, row } = await served();
  const { run } = await prepareAttempt(at, row, fixture);
  const errors = {
    rename: 'killed in the rename',
    forget: 'killed before the old name is forgotten',
    'up agent': 'killed in up',
  };
  for (const [call, text] of Object.entries(errors)) {
    fixture.answers[call as 'rename'] = [new RetryableError(text)];
    await expect(adopt.run(adoptionParts())(run)).rejects.toThrow(text);
  }
  // The state was written under the new name, and then under no other.
  for (const done of [new StackExistsError('exists'), new StackNotFoundError('gone')]) {
    fixture.answers.rename = [done];
    const next = { ...run, operation: { ...row, attempt: 2 } };
    expect(await adopt.run(adoptionParts())(next)).toMatchObject({ kind: 'adopted' });
  }
  expect(fixture.calls.filter((call) => call === `forget ${slotId}`)).toHaveLength(4);
});

test('an adoption waits until its agent runs, without trying, and comes back when it does', async () => {
  const { row } = await served();
  const holding = { operationId: row.operation_id, attempt: row.attempt, workerId: 'w1' };
  await sql`update agents set status = 'stopped'`.execute(at.database);
  const { run } = await prepareAttempt(at, row, fixture);
  const before = fixture.calls.length;
  const effect = await adopt.run(adoptionParts())(run);
  expect([effect, fixture.calls.length]).toEqual([{ kind: 'none' }, before]);
  await succeed(at, holding, effect);
  const kinds = async () => (await listOperations(at, 'a1')).map(({ kind, status }) => `${kind} ${status}`);
  expect(await kinds()).toEqual(['provision succeeded', 'adopt succeeded']);
  await ask(at, 'a1', 'start');
  const started = await claim(at);
  await succeed(at, started.claim, { kind: 'started' });
  expect(await kinds()).toEqual([
    'provision succeeded',
    'adopt succeeded',
    'start succeeded',
    'adopt queued',
  ]);
});

test('what a person asks for passes a waiting adoption, and needs no more of it than the stack’s name', async () => {
  const { slotId, row } = await served();
  await handBack(at, { operationId: row.operation_id, attempt: row.attempt, workerId: 'w1' }, 'queued');
  await ask(at, 'a1', 'stop');
  const next = await claim(at);
  expect(next.row.kind).toBe('stop');
  const { run } = await prepareAttempt(at, next.row, fixture);
  const parts = adoptionParts();
  const runbooks = createRunbooks({ ...parts, takeStackOver: (attempt) => takeStackOver(parts, attempt) });
  // The server can no longer be configured, and gives no healthy answer.
  fixture.answers['up agent'] = [new RetryableError('Ansible was refused')];
  expect(await runbooks.stop!(run)).toEqual({ kind: 'stopped' });
  expect(fixture.calls).toEqual(expect.arrayContaining([`rename ${slotId} agent-a1`, 'refresh agent']));
  expect(fixture.calls).not.toContain('up agent');
  expect((await slot(at, slotId)).status).toBe('claimed');
});
