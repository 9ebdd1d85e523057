import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createVault } from '../../src/agents/secrets.ts';
import { getAgent, insertAgent, NoProjectError } from '../../src/agents/store.ts';
import {
  AGENT_SNAPSHOT_STATUSES,
  type AgentSnapshotStatus,
} from '../../src/database/agent-snapshot-tables.ts';
import { registerWorker } from '../../src/executors/worker/workers.ts';
import { planSlots } from '../../src/pool/plan-slots.ts';
import { findRoomElsewhere, lockPlacement, markFull, roomInProject } from '../../src/projects/placement.ts';
import { applyProjects, listProjects, refuseLostProjects, setDraining } from '../../src/projects/projects.ts';
import { Secret } from '../../src/secret.ts';
import { type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';
import { addPool, addSlot, slot } from '../support/slots.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  await at.database.deleteFrom('hetzner_projects').execute();
});

const EU = ['nbg1', 'fsn1', 'hel1'];
const project = (name: string, locations?: string[], mostServers?: number) => ({
  name,
  locations,
  mostServers,
});
const configure = (...projects: ReturnType<typeof project>[]) => applyProjects(at.database, projects);
const place = async (agentId: string, location = 'nbg1') => {
  await at.database
    .transaction()
    .execute((trx) =>
      insertAgent(trx, { agentId, userId: 'u1', region: location, location, plan: 'starter' }),
    );
  return (await getAgent(at.database, agentId)).project;
};
const drain = (name: string, drains = true) =>
  at.database.transaction().execute((trx) => setDraining(trx, name, { drains, by: 'ann' }));
const markDestroyed = (agentId: string) =>
  at.database
    .updateTable('agents')
    .set({ status: 'destroyed', step: null })
    .where('agent_id', '=', agentId)
    .execute();

describe('an agent', () => {
  test('comes into a project for its location, or into none', async () => {
    await configure(project('eu', EU), project('us', ['ash', 'hil']));
    expect(await place('a1', 'fsn1')).toBe('eu');
    expect(await place('a2', 'ash')).toBe('us');
    const nowhere = place('a3', 'sin');
    await expect(nowhere).rejects.toThrow('No Hetzner project is for agents in sin');
    await expect(nowhere).rejects.toBeInstanceOf(NoProjectError);
  });

  test('comes into the emptiest one, the first of equals; what is destroyed does not count', async () => {
    await configure(project('one'), project('two'));
    expect([await place('a1'), await place('a2'), await place('a3')]).toEqual(['one', 'two', 'one']);
    await markDestroyed('a1');
    await markDestroyed('a3');
    expect(await place('a4')).toBe('one');
  });

  test('goes beyond no limit, however many come at once', async () => {
    await configure(project('one', EU, 2), project('two', EU, 3));
    const placed = await Promise.allSettled(Array.from({ length: 9 }, (_, index) => place(`a${index}`)));
    const where = placed.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(where.sort()).toEqual(['one', 'one', 'two', 'two', 'two']);
    await expect(place('late')).rejects.toThrow(
      'No Hetzner project takes a new agent in nbg1: one has the 2 servers that it may have, two has the 3',
    );
  });

  test('comes into no project that is drained, and into it again afterwards', async () => {
    await configure(project('one'), project('two'));
    expect([await drain('one'), await drain('one')]).toEqual([true, false]);
    expect([await place('a1'), await place('a2')]).toEqual(['two', 'two']);
    await drain('two');
    await expect(place('a3')).rejects.toThrow('one is drained, two is drained');
    await drain('one', false);
    expect(await place('a4')).toBe('one');
    await expect(drain('three')).rejects.toThrow('There is no Hetzner project three');
  });

  test('comes into one that Hetzner called full only if no other takes it', async () => {
    await configure(project('one', EU), project('two', EU));
    await markFull(at.database, 'one');
    expect([await place('a1'), await place('a2')]).toEqual(['two', 'two']);
    await drain('two');
    expect(await place('a3')).toBe('one');
  });

  test('comes into one that a worker cannot reach only if no other takes it', async () => {
    await configure(project('one', EU), project('two', EU));
    await registerWorker(at.database, { workerId: 'w1', concurrency: 1 });
    await at.database
      .insertInto('checks')
      .values({ worker_id: 'w1', name: 'hetzner:one', ok: false, blocks: false, detail: 'd', cure: 'c' })
      .execute();
    expect([await place('a1'), await place('a2')]).toEqual(['two', 'two']);
  });

  test('whose id is taken is refused for that, wherever it would go', async () => {
    await configure(project('one'));
    await place('a1');
    await expect(place('a1')).rejects.toThrow('An agent a1 exists already');
  });
});

test('an agent moves on only from a full project, to one with room', async () => {
  await configure(project('one', EU), project('two', EU, 1), project('us', ['ash']));
  const from = (name: string) => findRoomElsewhere(at.database, { project: name, location: 'nbg1' });
  expect(await from('one')).toBeUndefined();
  await markFull(at.database, 'one');
  expect(await from('one')).toBe('two');
  await place('a1');
  expect(await from('one')).toBeUndefined();
});

describe('an order', () => {
  const vault = createVault(new Secret('passphrase'));

  test('gets a slot of any project that takes it, and its agent is there', async () => {
    await configure(project('one'), project('default'));
    await addPool(at, 1);
    const slotId = await addSlot(at, vault);
    await order(at, 'a1');
    expect(await slot(at, slotId)).toMatchObject({ status: 'claimed', agent_id: 'a1' });
    expect((await getAgent(at.database, 'a1')).project).toBe('default');
  });

  test('is not refused for servers that wait: it gets one of them, or the pool gives way', async () => {
    await configure(project('default', EU, 2));
    await addPool(at, 2);
    const slots = [await addSlot(at, vault), await addSlot(at, vault)];
    const status = async () => (await Promise.all(slots.map((id) => slot(at, id)))).map((one) => one.status);
    await order(at, 'a1');
    expect((await status()).sort()).toEqual(['claimed', 'ready']);
    // One for which no server waits.
    await place('a2', 'fsn1');
    await planSlots(at.database);
    expect((await status()).sort()).toEqual(['claimed', 'removing']);
    await expect(place('a3')).rejects.toBeInstanceOf(NoProjectError);
  });

  test('gets no slot of another project that has as many agents as it may have', async () => {
    await configure(project('one', EU), project('default', ['nbg1', 'ash'], 1));
    await addPool(at, 1);
    const slotId = await addSlot(at, vault);
    // It took the place of the slot, which the pool has not removed yet.
    expect(await place('a1', 'ash')).toBe('default');
    await order(at, 'a2');
    expect((await slot(at, slotId)).status).toBe('ready');
    expect((await getAgent(at.database, 'a2')).project).toBe('one');
    const missed = await at.database.selectFrom('pool_misses').select(['agent_id', 'project']).execute();
    expect(missed).toEqual([{ agent_id: 'a2', project: 'default' }]);
  });

  test('gets a slot of its own project in the last place, for which it was counted already', async () => {
    await configure(project('default', EU, 1));
    await addPool(at, 1);
    const slotId = await addSlot(at, vault);
    await order(at, 'a1');
    expect((await slot(at, slotId)).status).toBe('claimed');
  });

  test('waits for no other one where no project for its location has a limit', async () => {
    await configure(project('eu', EU), project('us', ['ash'], 5));
    await at.database.transaction().execute(async (trx) => {
      await lockPlacement(trx, 'ash');
      expect(await place('a1', 'nbg1')).toBe('eu');
      const { rows } = await sql`select 1 from pg_locks where locktype = 'advisory'
        and pid = pg_backend_pid()`.execute(trx);
      expect(rows).toHaveLength(1);
    });
  });

  test.each([
    ['is drained', async () => void (await drain('default'))],
    ['is for other places', () => configure(project('one'), project('default', ['ash']))],
  ])('gets no slot of a project that %s', async (_, change) => {
    await configure(project('one'), project('default'));
    await addPool(at, 1);
    const slotId = await addSlot(at, vault);
    await change();
    await order(at, 'a1');
    expect((await slot(at, slotId)).status).toBe('ready');
    expect((await getAgent(at.database, 'a1')).project).toBe('one');
  });
});

test('the list shows what is in each, also in one that is no longer configured', async () => {
  await configure(project('eu', EU, 5), project('us', ['ash']));
  await place('a1');
  await drain('us');
  expect(await at.database.transaction().execute((trx) => roomInProject(trx, 'eu'))).toBe(4);
  await at.database.updateTable('hetzner_projects').set({ rank: null }).where('name', '=', 'eu').execute();
  await at.database.updateTable('hetzner_projects').set({ rank: 0 }).where('name', '=', 'us').execute();
  const none = { slots: 0, images: 0, snapshots: 0, drills: 0, fullUntil: null };
  expect(await listProjects(at.database)).toEqual([
    {
      ...none,
      ...{ name: 'us', configured: true, locations: ['ash'], mostServers: null },
      ...{ drainingSince: expect.any(Date), drainedBy: 'ann', agents: 0, servers: 0 },
    },
    {
      ...none,
      ...{ name: 'eu', configured: false, locations: EU, mostServers: 5 },
      ...{ drainingSince: null, drainedBy: null, agents: 1, servers: 1 },
    },
  ]);
  // Also where it came into it since the start was checked.
  await expect(configure(project('us', ['ash']))).rejects.toThrow('Hetzner project eu');
  await expect(refuseLostProjects(at.database, [{ name: 'us' }])).rejects.toThrow(
    '1 agents are in the Hetzner project eu, which HCLOUD_PROJECTS does not name',
  );
  await refuseLostProjects(at.database, [{ name: 'eu' }]);
  await sql`update agents set status = 'destroyed', step = null`.execute(at.database);
  await refuseLostProjects(at.database, []);
});

describe('a project whose agents are destroyed', () => {
  const SNAPSHOT = '11111111-1111-4111-8111-111111111111';
  beforeEach(async () => {
    await configure(project('eu', EU), project('us', ['ash']));
    await place('a1');
    await markDestroyed('a1');
  });
  const counted = async () => (await listProjects(at.database)).find(({ name }) => name === 'eu');
  const leaveOut = () => refuseLostProjects(at.database, [{ name: 'us' }]);
  const snapshot = (status: AgentSnapshotStatus) =>
    at.database
      .insertInto('agent_snapshots')
      .values({
        ...{ snapshot_id: SNAPSHOT, agent_id: 'a1', why: 'before-destroy', status },
        ...{
          hetzner_id: '9',
          size_gb: 1,
          ended_at: ['removed', 'lost'].includes(status) ? new Date() : null,
        },
      })
      .execute();

  test.each(AGENT_SNAPSHOT_STATUSES)(
    'is not empty while one of their snapshots is kept: %s',
    async (status) => {
      const isThere = ['making', 'available', 'removing'].includes(status);
      await snapshot(status);
      expect(await counted()).toMatchObject({ agents: 0, snapshots: isThere ? 1 : 0 });
      await at.database
        .updateTable('hetzner_projects')
        .set({ rank: null })
        .where('name', '=', 'eu')
        .execute();
      expect(await counted()).toEqual(isThere ? expect.objectContaining({ configured: false }) : undefined);
      if (isThere) await expect(leaveOut()).rejects.toThrow(/snapshots.* are in the Hetzner project eu/);
      else await leaveOut();
    },
  );

  test.each([
    ['running', 1],
    ['failed', 0],
  ] as const)('is not empty while a restore drill of theirs runs: %s', async (status, drills) => {
    await snapshot('removed');
    await at.database
      .insertInto('snapshot_drills')
      .values({
        ...{ drill_id: 'drill-0123456789abcdef', agent_id: 'a1', snapshot_id: SNAPSHOT, cause: 'person' },
        ...{ status, error: 'it', finished_at: status === 'running' ? null : new Date() },
      })
      .execute();
    expect(await counted()).toMatchObject({ agents: 0, snapshots: 0, drills });
    await at.database.updateTable('hetzner_projects').set({ rank: null }).where('name', '=', 'eu').execute();
    expect((await counted())?.drills).toBe(drills === 0 ? undefined : drills);
    if (drills > 0) await expect(leaveOut()).rejects.toThrow(/restore drills are in the Hetzner project eu/);
    else await leaveOut();
  });
});
