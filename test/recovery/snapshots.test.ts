import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { AgentKeys } from '../../src/agents/secrets.ts';
import { createSnapshotSeal } from '../../src/agents/snapshot-seal.ts';
import { listSnapshots } from '../../src/agents/snapshots.ts';
import { getAgent } from '../../src/agents/store.ts';
import { requestOperation } from '../../src/operations/requests.ts';
import { createAgentSnapshots } from '../../src/operations/snapshot-parts.ts';
import { planSnapshots, restoreSnapshots } from '../../src/recovery/snapshots.ts';
import { lookAfterSnapshots } from '../../src/snapshots/loop.ts';
import {
  ask,
  listOperations,
  type OperationsFixture,
  openOperations,
  order,
} from '../support/operations-fixture.ts';
import { attemptNext, runningAgent } from '../support/runbook-attempts.ts';
import { createRunbookFixture, type RunbookFixture } from '../support/runbook-fixture.ts';

let at: OperationsFixture;
let fixture: RunbookFixture;
let keys: AgentKeys;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  fixture = createRunbookFixture(at);
  fixture.deps.agentSnapshots = createAgentSnapshots(at.database);
  keys = await runningAgent(at, fixture);
});

const rows = () => listSnapshots(at.database, 'a1');
const DAY = 86_400_000;
const look = () => {
  const rules = { everyMs: DAY, keep: 1, lastMs: undefined };
  const policy = { starter: rules, pro: rules, max: rules };
  return lookAfterSnapshots({ database: at.database, openProject: () => fixture.deps.hetzner, policy });
};

/** Another snapshot, made so many days ago. */
async function made(why: 'scheduled' | 'by-hand', days: number): Promise<string> {
  const { operation_id: id } = await ask(at, 'a1', 'snapshot');
  await sql`update operations set parameters = ${JSON.stringify({ why })}::jsonb where operation_id = ${id}`.execute(
    at.database,
  );
  expect((await attemptNext(at, fixture)).error).toBeUndefined();
  const createdAt = new Date(Date.now() - days * DAY);
  fixture.snapshots.at(-1)!.createdAt = createdAt;
  await sql`update agent_snapshots set made_at = ${createdAt} where snapshot_id = ${id}`.execute(at.database);
  return id;
}

const lose = () => sql`delete from agent_snapshots`.execute(at.database);
async function rebuild(project = 'default') {
  const placed = fixture.snapshots.map((one) => ({ ...one, project }));
  const planned = await planSnapshots(createSnapshotSeal(fixture.keyring), placed);
  const { restored, unclear } = await restoreSnapshots(at.database, planned.found);
  return { restored, unclear: [...planned.unclear, ...unclear].map(({ cause }) => cause) };
}

/** Labels that the service has sealed, for a snapshot of the agent's own server unless another is named. */
const sealed = (labels: Record<string, string>, serverId = '42') =>
  fixture.snapshotSeal.seal(labels, serverId);

test('each row is as it was, and retention, the schedule and a revert go on', async () => {
  await made('scheduled', 3);
  await made('by-hand', 2);
  const newest = await made('scheduled', 0.1);
  const before = await rows();
  await lose();
  expect(await rebuild()).toEqual({ restored: 3, unclear: [] });
  const runAfter = expect.any(Date);
  expect(await rows()).toEqual(before.map((row) => ({ ...row, run_after: runAfter })));
  expect(await rebuild()).toEqual({ restored: 0, unclear: [] });
  await look();
  expect(fixture.snapshots.map(({ id }) => id)).toEqual(['9002', '9003']);
  expect((await listOperations(at, 'a1')).map(({ status }) => status)).not.toContain('queued');
  await at.database.transaction().execute((trx) =>
    requestOperation(trx, at.queue, {
      ...{ agentId: 'a1', kind: 'revert', actor: 'test', parameters: { snapshot: newest } },
    }),
  );
  expect(await attemptNext(at, fixture)).toMatchObject({ kind: 'revert', error: undefined });
  expect(await attemptNext(at, fixture)).toMatchObject({ kind: 'wake', error: undefined });
  expect(fixture.servers).toMatchObject([{ imageId: '9003' }]);
});

test('of an agent that has joined as another device since, the keys are lost: a revert to it touches nothing', async () => {
  const id = await made('by-hand', 1);
  await lose();
  await sql`update agents set tailnet_node_id = 'n2'`.execute(at.database);
  expect(await rebuild()).toEqual({ restored: 1, unclear: [] });
  expect(await rows()).toMatchObject([{ tailnet_node_id: 'n1', secrets: null }]);
  await at.database.transaction().execute((trx) =>
    requestOperation(trx, at.queue, {
      ...{ agentId: 'a1', kind: 'revert', actor: 'test', parameters: { snapshot: id } },
    }),
  );
  expect((await attemptNext(at, fixture)).error).toMatchObject({
    message: expect.stringContaining('rebuilt from the clouds'),
  });
  expect(fixture.servers).toMatchObject([{ id: '42', status: 'running' }]);
  expect(fixture.vault.open('a1', (await getAgent(at.database, 'a1')).secrets!)).toEqual(keys);
});

test('the last one before a destroy that never came is an ordinary one', async () => {
  await made('by-hand', 1);
  await lose();
  fixture.snapshots[0]!.labels['made-for'] = 'before-destroy';
  await rebuild();
  expect(await rows()).toMatchObject([{ why: 'by-hand', delete_after: null }]);
});

test('one that a backup has half-made is complete', async () => {
  const id = await made('by-hand', 1);
  await sql`update agent_snapshots set status = 'making', hetzner_id = null, size_gb = null`.execute(
    at.database,
  );
  expect(await rebuild()).toEqual({ restored: 1, unclear: [] });
  expect(await rows()).toMatchObject([{ snapshot_id: id, status: 'available', hetzner_id: '9001' }]);
});

/** A row of an agent b1, which runs on server 77. */
async function another(): Promise<void> {
  await order(at, 'b1');
  await sql`update agents set server_id = '77' where agent_id = 'b1'`.execute(at.database);
}

test.each([
  ['no seal', ({ 'agent-snapshot-seal': _, ...labels }: Labels) => labels],
  ['the seal of one of its own server', (labels: Labels) => labels],
  ['another seal', (labels: Labels) => ({ ...labels, 'agent-snapshot-seal': '0'.repeat(32) })],
])('labels of the agent on a snapshot of another server make no row: with %s', async (_what, change) => {
  await made('by-hand', 1);
  await lose();
  const [own] = fixture.snapshots;
  fixture.snapshots.splice(0, 1, { ...own!, serverId: '77', labels: change(own!.labels) });
  expect(await rebuild()).toEqual({
    restored: 0,
    unclear: [expect.stringMatching(/nothing proves that it was made from a server of a1/)],
  });
  expect(await rows()).toEqual([]);
});

test('a former device in the labels is no proof either', async () => {
  await made('by-hand', 1);
  await lose();
  fixture.snapshots[0]!.labels['tailnet-node'] = 'n2';
  expect((await rebuild()).unclear).toHaveLength(1);
});

test('a snapshot of a server that another agent has makes no row, whatever seals it', async () => {
  await made('by-hand', 1);
  await lose();
  await another();
  const [own] = fixture.snapshots;
  fixture.snapshots.splice(0, 1, { ...own!, serverId: '77', labels: await sealed(own!.labels, '77') });
  expect(await rebuild()).toEqual({
    restored: 0,
    unclear: [expect.stringMatching(/is of a1, and was made from the server of b1/)],
  });
});

test('another agent’s row that is being made is not completed with it', async () => {
  const id = await made('by-hand', 1);
  await lose();
  await another();
  const row = { snapshot_id: id, agent_id: 'b1', why: 'by-hand', status: 'making' } as const;
  await at.database.insertInto('agent_snapshots').values(row).execute();
  expect(await rebuild()).toEqual({
    restored: 0,
    unclear: [expect.stringMatching(/is of a1, and has its row with b1/)],
  });
  expect(await listSnapshots(at.database, 'b1')).toMatchObject([{ status: 'making', hetzner_id: null }]);
});

test('what is no row of ours is left to a person, and nothing of it is touched', async () => {
  await made('by-hand', 1);
  const [own] = fixture.snapshots;
  fixture.snapshots.push(
    { ...own!, id: '1', labels: { ...own!.labels, 'agent-snapshot': 'x' } },
    { ...own!, id: '2', status: 'creating', sizeGb: null },
    {
      ...own!,
      id: '3',
      name: 'agent-who snapshot',
      serverId: '99',
      labels: await sealed({ ...own!.labels, 'agent-id': 'who', 'agent-snapshot': ID }, '99'),
    },
    { ...own!, id: '4', name: 'agent-a1', labels: { 'agent-id': 'a1', 'managed-by': 'agents' } },
  );
  expect(await rebuild()).toEqual({
    restored: 0,
    unclear: [
      expect.stringMatching(/^Snapshot 1 .* label agent-snapshot that is no id/),
      expect.stringMatching(/^Snapshot 2 .* is creating/),
      expect.stringMatching(/^Snapshot 3 .* is of who, and no such agent is in project default/),
    ],
  });
  expect(await rows()).toMatchObject([{ hetzner_id: '9001' }]);
  await lose();
  fixture.snapshots.splice(1);
  expect((await rebuild('other')).unclear).toEqual([
    expect.stringContaining('no such agent is in project other'),
  ]);
});

type Labels = Record<string, string>;
const ID = '33333333-3333-4333-8333-333333333333';
