import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { recordInputs } from '../../src/agents/record-inputs.ts';
import { type AgentKeys, generateAgentKeys } from '../../src/agents/secrets.ts';
import { listSnapshots, requestSnapshotRemoval } from '../../src/agents/snapshots.ts';
import { getAgent } from '../../src/agents/store.ts';
import { PermanentError, ShortageError } from '../../src/errors.ts';
import { requestOperation } from '../../src/operations/requests.ts';
import { settleFailure, succeed } from '../../src/operations/settle.ts';
import { createAgentSnapshots } from '../../src/operations/snapshot-parts.ts';
import { revert } from '../../src/runbooks/revert.ts';
import { snapshot } from '../../src/runbooks/snapshot.ts';
import { wake } from '../../src/runbooks/wake.ts';
import { lookAfterSnapshots } from '../../src/snapshots/loop.ts';
import { agentInputs } from '../support/inputs.ts';
import {
  ask,
  claim,
  listOperations,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
  order,
  waitOver,
} from '../support/operations-fixture.ts';
import {
  createRunbookFixture,
  prepareAttempt,
  type RunbookFixture,
  server,
} from '../support/runbook-fixture.ts';

let at: OperationsFixture;
let fixture: RunbookFixture;
let keys: AgentKeys;
/** Of the snapshot that the agent has. */
let id: string;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  fixture = createRunbookFixture(at);
  fixture.deps.agentSnapshots = createAgentSnapshots(at.database);
  keys = generateAgentKeys('a1');
  await order(at, 'a1');
  const { claim: mine } = await claim(at);
  const secrets = fixture.vault.seal('a1', keys);
  const inputs = agentInputs('a1');
  await at.database.transaction().execute((trx) => recordInputs(trx, 'a1', { inputs, secrets }));
  await succeed(at, mine, { kind: 'running', outputs: { ...OUTPUTS, serverId: '42', tailnetNodeId: 'n1' } });
  fixture.servers.push(server('a1', 42));
  joined('n1');
  await ask(at, 'a1', 'snapshot');
  await attempt();
  id = (await listSnapshots(at.database, 'a1'))[0]!.snapshot_id;
});

const agent = () => getAgent(at.database, 'a1');
function joined(nodeId: string): void {
  const device = { name: OUTPUTS.tailnetName, hostname: 'agent-a1', tags: ['tag:agent'] };
  fixture.devices.push({ ...device, nodeId, addresses: [OUTPUTS.tailnetIp] });
}

const request = (wanted = id) =>
  at.database.transaction().execute((trx) =>
    requestOperation(trx, at.queue, {
      ...{ agentId: 'a1', kind: 'revert', actor: 'test' },
      parameters: { snapshot: wanted },
    }),
  );

const RUNBOOKS = { snapshot, revert, wake };
async function attempt() {
  await waitOver(at);
  const { row, claim: mine } = await claim(at);
  fixture.calls.length = 0;
  const { run, steps } = await prepareAttempt(at, row, fixture);
  try {
    await succeed(at, mine, await RUNBOOKS[row.kind as keyof typeof RUNBOOKS].run(fixture.deps)(run));
    return { kind: row.kind, error: undefined };
  } catch (error) {
    await settleFailure(at, mine, { error, step: steps.at(-1) ?? 'queued' });
    return { kind: row.kind, error };
  }
}

const look = () => {
  const rules = { everyMs: undefined, keep: 1, lastMs: undefined };
  const policy = { starter: rules, pro: rules, max: rules };
  return lookAfterSnapshots({ database: at.database, openProject: () => fixture.deps.hetzner, policy });
};

test('the server is off before it is deleted, and a wake makes one from the snapshot, which stays', async () => {
  await request();
  expect(await attempt()).toEqual({ kind: 'revert', error: undefined });
  const order = ['shut down 42', 'record snapshot 9001', 'up agent'];
  expect(fixture.calls.filter((call) => order.includes(call))).toEqual(order);
  expect(fixture.servers).toEqual([]);
  expect(await agent()).toMatchObject({ status: 'hibernated', snapshot_id: '9001', server_id: null });
  expect(await attempt()).toEqual({ kind: 'wake', error: undefined });
  expect(fixture.servers).toMatchObject([{ imageId: '9001' }]);
  expect(await agent()).toMatchObject({
    ...{ status: 'running', health: 'healthy', snapshot_id: null },
    ...{ tailnet_node_id: 'n1', error: null },
  });
  await look();
  expect(fixture.snapshots.map((one) => one.id)).toEqual(['9001']);
  expect(await listSnapshots(at.database, 'a1')).toMatchObject([{ status: 'available' }]);
});

test('an agent that was rebuilt since gets the keys of then, and joins as another device', async () => {
  const later = generateAgentKeys('a1');
  const secrets = fixture.vault.seal('a1', later);
  const inputs = { ...agentInputs('a1'), keyGeneration: 2, hostPublicKey: later.hostPublicKey };
  await at.database.transaction().execute((trx) => recordInputs(trx, 'a1', { inputs, secrets }));
  await sql`update agents set tailnet_node_id = 'n2'`.execute(at.database);
  fixture.devices.length = 0;
  joined('n2');
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
  ['no snapshot of the agent', '00000000-0000-4000-8000-000000000000', /has no complete snapshot/],
  ['one that Hetzner no longer has', undefined, /no longer at Hetzner/],
] as const)('%s: nothing is touched', async (_what, other, message) => {
  fixture.snapshots.length = 0;
  await request(other ?? id);
  expect((await attempt()).error).toBeInstanceOf(PermanentError);
  expect((await agent()).error).toMatch(message);
  expect(fixture.servers).toMatchObject([{ id: '42', status: 'running' }]);
  expect(await agent()).toMatchObject({ status: 'running', health: 'unknown', snapshot_id: null });
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
  expect(await attempt()).toEqual({ kind: 'wake', error: undefined });
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
