import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { AgentStatus } from '../../../src/agents/states.ts';
import type { AgentSnapshotStatus } from '../../../src/database/agent-snapshot-tables.ts';
import { listAttention } from '../../../src/reconcile/attention.ts';
import { openSweepFixture, type SweepFixture } from '../../support/sweep-fixture.ts';

let fixture: SweepFixture;
beforeAll(async () => {
  fixture = await openSweepFixture();
});
afterAll(() => fixture.close());
beforeEach(async () => {
  await fixture.empty();
  await fixture.cloud.query('truncate hetzner_images');
});

const ID = '11111111-1111-4111-8111-111111111111';
const LATE = '22222222-2222-4222-8222-222222222222';

/** A snapshot at Hetzner with the labels of an agent's snapshot. @returns its id */
async function kept(agentId: string, serverId: number, snapshotId = ID): Promise<number> {
  const labels = { 'agent-id': agentId, 'managed-by': 'agents', 'agent-snapshot': snapshotId };
  const path = `/servers/${serverId}/actions/create_image`;
  const description = `agent-${agentId} snapshot`;
  const begun = await fixture.hcloud('POST', path, { description, labels });
  for (let now = begun.action; now.status === 'running'; )
    now = (await fixture.hcloud('GET', `/actions/${now.id}`)).action;
  return begun.image.id;
}

async function record(agentId: string, status: AgentSnapshotStatus, hetznerId: number | null = null) {
  await fixture.database
    .insertInto('agent_snapshots')
    .values({
      ...{ snapshot_id: ID, agent_id: agentId, why: 'scheduled', status },
      ...(hetznerId !== null && { hetzner_id: String(hetznerId), size_gb: 1 }),
      ...(status === 'removed' && { ended_at: sql`now() - interval '1 hour'` }),
    })
    .execute();
}

async function agent(status: AgentStatus, serverId: number): Promise<void> {
  const running = { serverId, tailnetIp: await fixture.device('a1') };
  const hibernated = { snapshotId: await fixture.snapshot('a1', serverId) };
  const own = { running, hibernated } as Partial<Record<AgentStatus, object>>;
  await fixture.agent('a1', { status, ...own[status] });
}

const statuses = async () =>
  (await fixture.database.selectFrom('agent_snapshots').select('status').execute()).map((row) => row.status);
const isThere = async (id: number) =>
  (await fixture.hcloud('GET', '/images?type=snapshot')).images.some((one: { id: number }) => one.id === id);

test.each(['running', 'hibernated', 'destroyed', 'failed'] as const)(
  'the recorded snapshot of an agent that is %s is no orphan, and no mismatch',
  async (status) => {
    const server = await fixture.server('a1', { labels: {} });
    const id = await kept('a1', server);
    await agent(status, server);
    await record('a1', 'available', id);
    const { findings } = await fixture.sweep();
    expect(findings.filter((text) => text.includes(String(id)))).toEqual([]);
    expect(await isThere(id)).toBe(true);
    expect(await statuses()).toEqual(['available']);
  },
);

test('one that is being made or removed is left to those who do it', async () => {
  const server = await fixture.server('a1', { labels: {} });
  const id = await kept('a1', server);
  await fixture.agent('a1', { status: 'destroyed' });
  for (const status of ['making', 'removing'] as const) {
    await fixture.database.deleteFrom('agent_snapshots').execute();
    await record('a1', status);
    expect((await fixture.sweep()).findings).toEqual([]);
    expect(await isThere(id)).toBe(true);
    expect(await statuses()).toEqual([status]);
  }
});

test('one that a killed call made late, after its row was removed, is removed again', async () => {
  const server = await fixture.server('a1', { labels: {} });
  await kept('a1', server);
  await fixture.agent('a1', { status: 'destroyed' });
  await record('a1', 'removed');
  expect((await fixture.sweep()).findings).toEqual([]);
  expect(await statuses()).toEqual(['removing']);
});

test('one that no row knows is reported and never touched, whatever its labels say', async () => {
  const server = await fixture.server('a1', { labels: {} });
  const known = await kept('a1', server);
  const foreign = [await kept('a1', server, LATE), await kept('nobody', server)];
  await fixture.agent('a1', { status: 'destroyed' });
  await record('a1', 'available', known);
  const { findings, removed } = await fixture.sweep();
  expect(findings).toHaveLength(2);
  expect(findings.join('\n')).toMatch(/carries the labels of agent a1, but its provision did not make it/);
  expect(findings.join('\n')).toMatch(/its owner, agent nobody, is unknown/);
  expect(removed).toBe(0);
  for (const id of foreign) expect(await isThere(id)).toBe(true);
});

test('one that somebody deleted is noticed, told, and counts for nothing any more', async () => {
  const server = await fixture.server('a1');
  const id = await kept('a1', server);
  await agent('running', server);
  await record('a1', 'available', id);
  await fixture.hcloud('DELETE', `/images/${id}`);
  const text = `Snapshot ${id} of agent a1 is no longer at Hetzner`;
  expect((await fixture.sweep()).findings).toContain(text);
  expect(await statuses()).toEqual(['lost']);
  expect(await listAttention(fixture.database, { limit: 9 })).toContainEqual(
    expect.objectContaining({ class: 'mismatch', agentId: 'a1', cause: `${text}.` }),
  );
  expect((await fixture.sweep()).findings).not.toContain(text);
});

test('one that has lost its labels is not taken for lost', async () => {
  const server = await fixture.server('a1');
  const id = await kept('a1', server);
  await agent('running', server);
  await record('a1', 'available', id);
  await fixture.hcloud('PUT', `/images/${id}`, { labels: {} });
  expect((await fixture.sweep()).findings).toContain(
    `Snapshot ${id} of agent a1 has lost its labels: put them back`,
  );
  expect(await statuses()).toEqual(['available']);
});
