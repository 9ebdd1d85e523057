import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { recordInputs } from '../../src/agents/record-inputs.ts';
import { type AgentKeys, generateAgentKeys } from '../../src/agents/secrets.ts';
import { listSnapshots, requestSnapshotRemoval } from '../../src/agents/snapshots.ts';
import { getAgent } from '../../src/agents/store.ts';
import { InvalidInputError, PermanentError, ShortageError } from '../../src/errors.ts';
import { recordForRunner } from '../../src/executors/github-actions/record.ts';
import { requestOperation } from '../../src/operations/requests.ts';
import { createAgentSnapshots } from '../../src/operations/snapshot-parts.ts';
import { createFoundationStore } from '../../src/runbooks/steps/foundation-store.ts';
import { Secret } from '../../src/secret.ts';
import { lookAfterSnapshots } from '../../src/snapshots/loop.ts';
import { agentInputs } from '../support/inputs.ts';
import { drain, interrupting, lose, nothingIsLost } from '../support/interrupted-attempts.ts';
import {
  ask,
  claim,
  listOperations,
  type OperationsFixture,
  openOperations,
} from '../support/operations-fixture.ts';
import { agentDevice, attemptNext, runningAgent } from '../support/runbook-attempts.ts';
import { createRunbookFixture, type RunbookFixture } from '../support/runbook-fixture.ts';

let at: OperationsFixture;
let fixture: RunbookFixture;
let keys: AgentKeys;
/** Of the snapshot that the agent has. */
let id: string;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(begin);

/** A running agent with a snapshot. */
async function begin(): Promise<void> {
  await at.empty();
  fixture = createRunbookFixture(at);
  fixture.deps.agentSnapshots = createAgentSnapshots(at.database);
  keys = await runningAgent(at, fixture);
  await ask(at, 'a1', 'snapshot');
  await attempt();
  id = (await listSnapshots(at.database, 'a1'))[0]!.snapshot_id;
}

const agent = () => getAgent(at.database, 'a1');
const request = (wanted = id) =>
  at.database.transaction().execute((trx) =>
    requestOperation(trx, at.queue, {
      ...{ agentId: 'a1', kind: 'revert', actor: 'test' },
      parameters: { snapshot: wanted },
    }),
  );

const attempt = () => attemptNext(at, fixture);

const look = (keep = 1) => {
  const rules = { everyMs: undefined, keep, lastMs: undefined };
  const policy = { starter: rules, pro: rules, max: rules };
  return lookAfterSnapshots({ database: at.database, openProject: () => fixture.deps.hetzner, policy });
};

test('the server is off before it is deleted, and a wake makes one from the snapshot, which stays', async () => {
  await request();
  expect(await attempt()).toMatchObject({ kind: 'revert', error: undefined });
  const order = ['shut down 42', 'record snapshot 9001', 'up agent'];
  expect(fixture.calls.filter((call) => order.includes(call))).toEqual(order);
  expect(fixture.servers).toEqual([]);
  expect(await agent()).toMatchObject({ status: 'hibernated', snapshot_id: '9001', server_id: null });
  expect(await attempt()).toMatchObject({ kind: 'wake', error: undefined });
  expect(fixture.servers).toMatchObject([{ imageId: '9001' }]);
  expect(await agent()).toMatchObject({
    ...{ status: 'running', health: 'healthy', snapshot_id: null },
    ...{ tailnet_node_id: 'n1', error: null },
  });
  await look();
  expect(fixture.snapshots.map((one) => one.id)).toEqual(['9001']);
  expect(await listSnapshots(at.database, 'a1')).toMatchObject([{ status: 'available' }]);
});

/** It has other keys since the snapshot, and has joined as another device. */
async function rebuiltSince(): Promise<void> {
  const later = generateAgentKeys('a1');
  const secrets = fixture.vault.seal('a1', later);
  const inputs = { ...agentInputs('a1'), keyGeneration: 2, hostPublicKey: later.hostPublicKey };
  await at.database.transaction().execute((trx) => recordInputs(trx, 'a1', { inputs, secrets }));
  await sql`update agents set tailnet_node_id = 'n2'`.execute(at.database);
  fixture.devices.length = 0;
  fixture.devices.push(agentDevice('a1', 'n2'));
}

test('an agent that was rebuilt since gets the keys of then, and joins as another device', async () => {
  await rebuiltSince();
  await request();
  expect((await attempt()).error).toBeUndefined();
  expect(fixture.calls).toContain('delete device n2');
  const row = await agent();
  expect(fixture.vault.open('a1', row.secrets!)).toEqual(keys);
  expect(row.inputs).toMatchObject({ hostPublicKey: keys.hostPublicKey, keyGeneration: 2 });
  expect((await attempt()).error).toBeUndefined();
  expect(await agent()).toMatchObject({ status: 'running', tailnet_node_id: 'n3' });
});

test('a runner refuses that before it touches anything: it gets no keys of then', async () => {
  const { find } = fixture.deps.agentSnapshots!;
  fixture.deps.agentSnapshots!.find = async (...given) => ({
    ...(await find(...given))!,
    secrets: undefined,
  });
  await sql`update agents set tailnet_node_id = 'n2'`.execute(at.database);
  await request();
  expect((await attempt()).error).toMatchObject({ message: expect.stringContaining('EXECUTOR=local') });
  expect(fixture.servers).toMatchObject([{ id: '42', status: 'running' }]);
  expect(await agent()).toMatchObject({ status: 'running', snapshot_id: null });
});

test.each([
  [
    'that is being removed',
    () => sql`update agent_snapshots set status = 'removing'`.execute(at.database),
    /has no complete snapshot/,
  ],
  ['that Hetzner no longer has', async () => fixture.snapshots.splice(0), /no longer at Hetzner/],
] as const)('one %s by now: nothing is touched', async (_what, lose, message) => {
  await request();
  await lose();
  expect((await attempt()).error).toBeInstanceOf(PermanentError);
  expect((await agent()).error).toMatch(message);
  expect(fixture.servers).toMatchObject([{ id: '42', status: 'running' }]);
  expect(await agent()).toMatchObject({ status: 'running', health: 'unknown', snapshot_id: null });
});

test('a snapshot that was made from another server than its row says is not used: nothing is touched', async () => {
  await request();
  fixture.snapshots[0]!.serverId = '77';
  expect((await attempt()).error).toMatchObject({
    message: expect.stringMatching(/one of server 42, and Hetzner says that it was made from 77/),
  });
  expect(fixture.servers).toMatchObject([{ id: '42', status: 'running' }]);
  expect(await agent()).toMatchObject({ status: 'running', snapshot_id: null });
});

test('while its server type is sold out it waits, and the agent runs on', async () => {
  const serverType = agentInputs('a1').serverType;
  fixture.offers[serverType] = [{ location: 'nbg1', isAvailable: false, eurosPerMonth: 5 }];
  await request();
  expect((await attempt()).error).toBeInstanceOf(ShortageError);
  expect(fixture.servers).toMatchObject([{ id: '42', status: 'running' }]);
  expect((await listOperations(at, 'a1')).at(-1)).toMatchObject({ status: 'queued', retry_count: 0 });
});

test('one that fails after the record leaves the agent hibernated, and a wake gets it running', async () => {
  await request();
  fixture.answers['up agent'] = [new PermanentError('Pulumi failed')];
  expect((await attempt()).error).toMatchObject({ message: 'Pulumi failed' });
  expect(await agent()).toMatchObject({ status: 'hibernated', snapshot_id: '9001', error: 'Pulumi failed' });
  expect(fixture.servers).toMatchObject([{ id: '42', status: 'off' }]);
  expect(await attempt()).toMatchObject({ kind: 'wake', error: undefined });
  expect(await agent()).toMatchObject({ status: 'running', server_id: '42' });
  expect(fixture.snapshots.map((one) => one.id)).toEqual(['9001']);
});

test('the snapshot in place of the server is not removed, whoever wants it', async () => {
  await request();
  await attempt();
  const removing = at.database.transaction().execute((trx) => requestSnapshotRemoval(trx, id));
  await expect(removing).rejects.toThrow('being put back to this snapshot');
  await sql`update agent_snapshots set delete_after = now() - interval '1 day'`.execute(at.database);
  await look();
  expect(fixture.snapshots.map((one) => one.id)).toEqual(['9001']);
});

test('one that is given up while the server is switched off for it: the server stays, and runs again', async () => {
  await request();
  const { shutDown } = fixture.deps.hetzner;
  fixture.deps.hetzner.shutDown = async (...given) => {
    await shutDown(...given);
    await sql`update agent_snapshots set status = 'removing'`.execute(at.database);
    await look();
  };
  expect((await attempt()).error).toMatchObject({
    name: 'PermanentError',
    message: expect.stringContaining('its server was not deleted'),
  });
  expect(fixture.servers).toMatchObject([{ id: '42', status: 'running' }]);
  expect(await agent()).toMatchObject({ status: 'running', server_id: '42', snapshot_id: null });
});

test('one that was given up as it took the server’s place is kept', async () => {
  await request();
  await attempt();
  await sql`update agent_snapshots set status = 'removing', run_after = now()`.execute(at.database);
  await look();
  expect(fixture.snapshots.map((one) => one.id)).toEqual(['9001']);
  expect(await listSnapshots(at.database, 'a1')).toMatchObject([{ status: 'available' }]);
  expect(await attempt()).toMatchObject({ kind: 'wake', error: undefined });
});

test('one that a revert waits for is not given up: not by its time, the schedule or a person', async () => {
  await request();
  await sql`update agent_snapshots set delete_after = now() - interval '1 day', why = 'scheduled'`.execute(
    at.database,
  );
  await look(0);
  expect(await listSnapshots(at.database, 'a1')).toMatchObject([{ status: 'available' }]);
  const removing = at.database.transaction().execute((trx) => requestSnapshotRemoval(trx, id));
  await expect(removing).rejects.toThrow('being put back to this snapshot');
  expect(await attempt()).toMatchObject({ kind: 'revert', error: undefined });
});

test('a runner is refused one that was given up, before it deletes the server', async () => {
  const { operation_id: jobId } = await request();
  await claim(at);
  await sql`update operations set executor = 'github-actions'`.execute(at.database);
  await sql`update agent_snapshots set status = 'removing'`.execute(at.database);
  const deps = {
    ...{ database: at.database, callbackSecret: new Secret('secret') },
    foundations: createFoundationStore(at.database, { evict: async () => {} }),
  };
  const recording = recordForRunner(deps, { jobId }, { kind: 'snapshot', snapshotId: '9001' });
  // 400: on the runner a permanent error.
  await expect(recording).rejects.toThrow(InvalidInputError);
  expect(await agent()).toMatchObject({ status: 'running', snapshot_id: null });
});

describe.each([
  ['the agent as it was', async () => {}],
  ['an agent that was rebuilt since', rebuiltSince],
] as const)('of %s', (_what, since) => {
  test.each([
    ['revert', 'before'],
    ['revert', 'after'],
    ['wake', 'after'],
  ] as const)(
    'a kill of the %s, %s any change, leaves the server or the snapshot, and in the end one server with its disk',
    { timeout: 60_000 },
    async (kind, when) => {
      const check = () => nothingIsLost(at, fixture);
      for (let nth = 1; ; nth += 1) {
        if (nth > 1) await begin();
        await since();
        await request();
        if (kind === 'wake') await attempt();
        const { seen, wrap } = interrupting({ nth, when, interrupt: lose, check });
        const { error } = await attemptNext(at, fixture, { wrap });
        await check();
        if (seen.calls < nth) {
          expect(error).toBeUndefined();
          expect(nth).toBeGreaterThan(3);
          return;
        }
        await drain(at, fixture);
        expect(fixture.servers, `call ${nth}`).toMatchObject([{ imageId: '9001', status: 'running' }]);
        expect(fixture.snapshots.map((one) => one.id)).toEqual(['9001']);
        const row = await agent();
        expect(row).toMatchObject({
          status: 'running',
          server_id: fixture.servers[0]!.id,
          snapshot_id: null,
        });
        expect(fixture.vault.open('a1', row.secrets!)).toEqual(keys);
        expect(fixture.devices).toHaveLength(1);
      }
    },
  );
});
