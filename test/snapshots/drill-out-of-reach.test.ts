import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { endDrill } from '../../src/agents/drills.ts';
import { createVault, generateAgentKeys } from '../../src/agents/secrets.ts';
import { readDueWork } from '../../src/app/due-work.ts';
import { ShortageError } from '../../src/errors.ts';
import { registerWorker } from '../../src/executors/worker/workers.ts';
import { createDrillCalls } from '../../src/hetzner/drill-calls.ts';
import { createHetznerClient } from '../../src/hetzner/hetzner.ts';
import { listProjects } from '../../src/projects/projects.ts';
import { listAttention } from '../../src/reconcile/attention.ts';
import { Secret } from '../../src/secret.ts';
import { advanceDrill, type DrillDeps } from '../../src/snapshots/drill.ts';
import { listDrills, startDrill, startDueDrill } from '../../src/snapshots/drills.ts';
import { lookAfterDrills } from '../../src/snapshots/loop.ts';
import { openSweepFixture, type SweepFixture } from '../support/sweep-fixture.ts';
import { setTwoProjects } from '../support/two-projects.ts';

let fixture: SweepFixture;
let deps: DrillDeps;
const vault = createVault(new Secret('passphrase'));
beforeAll(async () => {
  fixture = await openSweepFixture();
  const account = { token: fixture.hcloudToken, endpoint: `${fixture.sandbox.url}/hetzner/v1` };
  const hetzner = { ...createHetznerClient(account), ...createDrillCalls(account) };
  deps = { database: fixture.database, openProject: () => hetzner, vault, switchesItselfOff: true };
});
afterAll(() => fixture.close());
beforeEach(async () => {
  await fixture.empty();
  await setTwoProjects(fixture.database);
});

const EVERY_MS = 60_000;
const SNAPSHOTS: Record<string, string> = {
  a1: '11111111-1111-4111-8111-111111111111',
  a2: '22222222-2222-4222-8222-222222222222',
};

/** A running agent with a snapshot that its row says is complete. */
async function drilled(agentId: string): Promise<void> {
  const serverId = agentId === 'a1' ? 5 : 6;
  await fixture.agent(agentId, { status: 'running', serverId, tailnetIp: `100.64.0.${serverId}` });
  await fixture.database
    .insertInto('agent_snapshots')
    .values({
      ...{ snapshot_id: SNAPSHOTS[agentId]!, agent_id: agentId, why: 'scheduled', status: 'available' },
      ...{ hetzner_id: `9${serverId}`, size_gb: 1, server_id: String(serverId) },
      secrets: vault.seal(agentId, generateAgentKeys(agentId)),
    })
    .execute();
}

/** A drill under way, whose server is at Hetzner, begun so long ago. */
async function underWay(agentId: string, minutes: number): Promise<{ drillId: string; serverId: number }> {
  const { drill_id: drillId } = await startDrill(fixture.database, { agentId, cause: 'person' });
  const { server } = await fixture.hcloud('POST', '/servers', {
    ...{ name: drillId, server_type: 'cx23', location: 'nbg1', image: 'debian-13' },
    labels: { 'agent-id': drillId, 'managed-by': 'agents' },
  });
  await fixture.database
    .updateTable('snapshot_drills')
    .set({ server_id: String(server.id), started_at: sql`now() - make_interval(mins => ${minutes})` })
    .where('drill_id', '=', drillId)
    .execute();
  return { drillId, serverId: server.id };
}

const refused = () => Promise.reject(new Error('token revoked'));
const away = (): DrillDeps => ({
  ...deps,
  openProject: (name) => ({ ...deps.openProject(name), findServer: refused }),
});
const newest = async () => (await listDrills(fixture.database, 1))[0]!;
const isThere = async (name: string) =>
  (await fixture.hcloud('GET', `/servers?name=${name}`)).servers.length === 1;
const makeDue = () =>
  sql`update snapshot_drills set removal_due_at = now() where removal_due_at is not null`.execute(
    fixture.database,
  );
const drillsIn = async (project: string) =>
  (await listProjects(fixture.database)).find(({ name }) => name === project)?.drills;

test('a drill in a project out of reach ends in time, and another one begins', async () => {
  await drilled('a1');
  await underWay('a1', 21);
  await advanceDrill(away());
  expect(await newest()).toMatchObject({
    status: 'failed',
    error: expect.stringMatching(/did not start within 20/),
  });
  await drilled('a2');
  expect(await startDrill(fixture.database, { agentId: 'a2', cause: 'person' })).toMatchObject({
    status: 'running',
  });
});

test('within its time it waits for the project', async () => {
  await drilled('a1');
  await underWay('a1', 1);
  await expect(advanceDrill(away())).rejects.toThrow('token revoked');
  expect(await newest()).toMatchObject({ status: 'running', passed: null });
});

test('its server is remembered until a look has found it gone', async () => {
  await drilled('a1');
  const { drillId } = await underWay('a1', 21);
  await advanceDrill(away());
  expect(await isThere(drillId)).toBe(true);
  expect(await drillsIn('default')).toBe(1);
  const { findings, removed } = await fixture.sweep();
  expect({ of: findings.filter((text) => text.includes(drillId)), removed }).toEqual({ of: [], removed: 0 });
  expect(await listAttention(fixture.database, { limit: 9 })).toContainEqual(
    expect.objectContaining({ cause: expect.stringContaining(`The server ${drillId} of a restore drill`) }),
  );
  // Not asked for all the time, and not before it is due.
  await advanceDrill(away());
  await makeDue();
  expect((await readDueWork(fixture.database)).drill).toBeLessThanOrEqual(0);
  await expect(advanceDrill(away())).rejects.toThrow('token revoked');
  expect((await newest()).removal_due_at!.getTime()).toBeGreaterThan(Date.now());

  await makeDue();
  const isForgotten = async () => {
    await advanceDrill(deps);
    return (await newest()).removal_due_at === null;
  };
  await expect.poll(isForgotten, { timeout: 15_000, interval: 40 }).toBe(true);
  expect(await isThere(drillId)).toBe(false);
  expect(await drillsIn('default')).toBe(0);
});

test('a destroy waits for such a server too, which is looked for at once', async () => {
  await drilled('a1');
  const { drillId } = await underWay('a1', 21);
  await advanceDrill(away());
  const end = () => endDrill(fixture.database, 'a1');
  expect(await end()).toBe(drillId);
  expect((await readDueWork(fixture.database)).drill).toBeLessThanOrEqual(0);
  const isEnded = async () => {
    await advanceDrill(deps);
    return (await end()) === undefined;
  };
  await expect.poll(isEnded, { timeout: 15_000, interval: 40 }).toBe(true);
  expect(await isThere(drillId)).toBe(false);
});

test('a worker without the project leaves it to one that has it', async () => {
  await drilled('a1');
  await underWay('a1', 21);
  await advanceDrill(away());
  await makeDue();
  const due = (await newest()).removal_due_at;
  const unknown = () => {
    throw new ShortageError('This process does not know the Hetzner project');
  };
  await advanceDrill({ ...deps, openProject: unknown });
  expect((await newest()).removal_due_at).toEqual(due);
});

test('one that has passed ends too if its server cannot be removed, and has passed', async () => {
  await drilled('a1');
  await underWay('a1', 21);
  await sql`update snapshot_drills set passed = true, ran_at = now()`.execute(fixture.database);
  await advanceDrill(away());
  expect(await newest()).toMatchObject({ status: 'succeeded', removal_due_at: expect.any(Date) });
});

test('the schedule takes no agent of a project that is out of reach or not configured', async () => {
  await drilled('a1');
  await registerWorker(fixture.database, { workerId: 'w1', concurrency: 1 });
  await fixture.database
    .insertInto('checks')
    .values({ worker_id: 'w1', name: 'hetzner:default', ok: false, blocks: false, detail: 'd', cure: 'c' })
    .execute();
  await startDueDrill(fixture.database, EVERY_MS);
  expect(await newest()).toBeUndefined();
  await drilled('a2');
  await sql`update agents set project = 'other' where agent_id = 'a2'`.execute(fixture.database);
  await sql`update hetzner_projects set rank = null where name = 'other'`.execute(fixture.database);
  await startDueDrill(fixture.database, EVERY_MS);
  expect(await newest()).toBeUndefined();
  await sql`update hetzner_projects set rank = 1 where name = 'other'`.execute(fixture.database);
  await startDueDrill(fixture.database, EVERY_MS);
  expect(await newest()).toMatchObject({ agent_id: 'a2' });
});

test('during a recovery no drill begins, and none goes on', async () => {
  await drilled('a1');
  await sql`insert into installation (mode, accounts, recovery) values ('sandbox', '{}', 'needed')`.execute(
    fixture.database,
  );
  await lookAfterDrills({ ...deps, everyMs: EVERY_MS });
  expect(await newest()).toBeUndefined();
  const { drillId } = await underWay('a1', 21);
  await lookAfterDrills({ ...deps, everyMs: EVERY_MS });
  expect(await newest()).toMatchObject({ status: 'running', passed: null });
  expect(await isThere(drillId)).toBe(true);
});
