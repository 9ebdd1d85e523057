import { setTimeout as pause } from 'node:timers/promises';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { retryOperation } from '../../../src/operations/retry.ts';
import { hetznerOf } from '../../../src/reconcile/sweep/inventory.ts';
import { openSweepFixture, type SweepFixture } from '../../support/sweep-fixture.ts';

let fixture: SweepFixture;
beforeAll(async () => {
  fixture = await openSweepFixture();
});
afterAll(() => fixture.close());
beforeEach(() => fixture.empty());

/** A failed agent with a server left by its rollback, and the provision that a person may retry. */
async function failedAgent(): Promise<{ server: number; operationId: string }> {
  const server = await fixture.server('a1');
  return { server, ...(await fixture.agent('a1', { status: 'failed' })) };
}

const retry = (operationId: string) =>
  fixture.database
    .transaction()
    .execute((trx) => retryOperation(trx, fixture.queue, { operationId, actor: 'test' }));

test('a retry between reading and removal keeps its server', async () => {
  const { server, operationId } = await failedAgent();
  const openClouds: SweepFixture['openClouds'] = (watches) => {
    const clouds = fixture.openClouds(watches);
    // The last list that is read. From here on, the sweep works with what it has read.
    const hetzner = hetznerOf(clouds, 'default');
    const sshKeyPage: typeof hetzner.sshKeyPage = async (page) => {
      const found = await hetzner.sshKeyPage(page);
      await retry(operationId);
      return found;
    };
    return { ...clouds, projects: new Map([['default', { ...hetzner, sshKeyPage }]]) };
  };
  expect(await fixture.sweep({ openClouds })).toMatchObject({ removed: 0 });
  expect((await fixture.left()).servers).toEqual([server]);
});

test('a retry between comparison and lock keeps its server', async () => {
  const { server, operationId } = await failedAgent();
  // The agent's row is locked while the sweep compares. Once the sweep gets the lock, the operation exists.
  const sweeping = await fixture.database.transaction().execute(async (trx) => {
    await retryOperation(trx, fixture.queue, { operationId, actor: 'test' });
    const begun = fixture.sweep();
    await expect.poll(waitingForLock).toBe(true);
    return { begun };
  });
  expect(await sweeping.begun).toMatchObject({ removed: 0 });
  expect((await fixture.left()).servers).toEqual([server]);
});

test('a retry during the removal waits for its end, and finds the server gone', async () => {
  const { operationId } = await failedAgent();
  let serversAtRetry: Promise<number[]> | undefined;
  const openClouds: SweepFixture['openClouds'] = (watches) => {
    const clouds = fixture.openClouds(watches);
    const hetzner = hetznerOf(clouds, 'default');
    const deleteServer: typeof hetzner.deleteServer = async (id, options) => {
      serversAtRetry = retry(operationId).then(async () => (await fixture.left()).servers);
      await expect.poll(waitingForLock).toBe(true);
      await hetzner.deleteServer(id, options);
    };
    return { ...clouds, projects: new Map([['default', { ...hetzner, deleteServer }]]) };
  };
  expect(await fixture.sweep({ openClouds })).toMatchObject({ removed: 1 });
  expect(await serversAtRetry).toEqual([]);
});

test('at any time: a server that exists when the retry is accepted still exists when the sweep ends', async () => {
  const seen = { kept: 0, removed: 0 };
  for (let round = 0; round < 20; round += 1) {
    await fixture.empty();
    const { server, operationId } = await failedAgent();
    const sweeping = fixture.sweep();
    await pause(round * 4);
    await retry(operationId);
    const { servers } = await fixture.left();
    await sweeping;
    expect((await fixture.left()).servers).toEqual(servers);
    seen[servers.includes(server) ? 'kept' : 'removed'] += 1;
  }
  expect(seen.kept + seen.removed).toBe(20);
});

/** Whether a session waits for a lock on an agent's row. */
async function waitingForLock(): Promise<boolean> {
  const { rows } = await sql`
    select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
      and query ilike '%from "agents"%for update%'`.execute(fixture.database);
  return rows.length > 0;
}
