import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { PermanentError } from '../../../src/errors.ts';
import { unregisterWorker } from '../../../src/executors/worker/workers.ts';
import { type CheckMonitor, explainProblems, startChecks } from '../../../src/reconcile/checks/monitor.ts';
import type { Probe } from '../../../src/reconcile/checks/probe.ts';
import { readChecks } from '../../../src/reconcile/checks/store.ts';
import { type OperationsFixture, openOperations } from '../../support/operations-fixture.ts';

let at: OperationsFixture;
let monitors: CheckMonitor[];
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  at.logged.length = 0;
  monitors = [];
});
afterEach(() => Promise.all(monitors.map((monitor) => monitor.stop())));

/** A probe of something that can break and recover. */
function fragile(name: string, blocks: Probe['blocks'] = () => true) {
  const state = { wrong: undefined as string | undefined, looks: 0 };
  const probe: Probe = {
    name,
    blocks,
    cure: `mend the ${name}`,
    look: async () => {
      state.looks += 1;
      if (state.wrong !== undefined) throw new PermanentError(state.wrong);
      return 'well';
    },
  };
  return { state, probe };
}

async function start(workerId: string, probes: Probe[], patienceSeconds = 0): Promise<CheckMonitor> {
  const settings = { wellSeconds: 0.05, unwellSeconds: 0.05, patienceSeconds };
  const monitor = await startChecks(
    { database: at.database, workerId, concurrency: 1, probes, log: at.log },
    settings,
  );
  monitors.push(monitor);
  return monitor;
}

test('all problems are reported in one message, make operations wait, and are cleared once fixed', async () => {
  const [cloud, other] = [fragile('cloud'), fragile('other', (kind) => kind !== 'destroy')];
  cloud.state.wrong = 'refused (401)';
  other.state.wrong = 'not there';
  const monitor = await start('w1', [cloud.probe, other.probe]);
  expect(explainProblems(monitor.problems())).toMatch(
    /wait until this is fixed:\n {2}- cloud: refused \(401\)\n {6}mend the cloud\n {2}- other: not there\n {6}mend the other$/,
  );
  expect(monitor.waitReason('provision')).toMatch(/cloud: refused.*mend the cloud\nother: not there/s);
  expect(monitor.waitReason('destroy')).not.toContain('other');
  expect(await readChecks(at.database)).toEqual([
    { name: 'cloud', ok: false, blocks: true, detail: 'refused (401)', cure: 'mend the cloud' },
    { name: 'other', ok: false, blocks: true, detail: 'not there', cure: 'mend the other' },
  ]);
  cloud.state.wrong = other.state.wrong = undefined;
  await vi.waitFor(() => expect(monitor.problems()).toEqual([]), 10_000);
  expect(monitor.waitReason('provision')).toBeUndefined();
  expect(explainProblems(monitor.problems())).toBeUndefined();
  await vi.waitFor(
    async () => expect((await readChecks(at.database)).every(({ ok }) => ok)).toBe(true),
    10_000,
  );
  const events = at.logged.map(({ event }) => event);
  expect(events.filter((event) => event === 'check.failed')).toHaveLength(2);
  expect(events.filter((event) => event === 'check.recovered')).toHaveLength(2);
});

test('a problem that blocks no operation is a warning, alone or beside blocking ones', async () => {
  const [cloud, shop] = [fragile('cloud'), fragile('shop', () => false)];
  shop.state.wrong = 'refused (401)';
  const monitor = await start('w1', [cloud.probe, shop.probe]);
  expect(monitor.problems()).toMatchObject([{ name: 'shop', blocks: false }]);
  const alone = explainProblems(monitor.problems());
  expect(alone).toMatch(/^Warning: .*:\n {2}- shop: refused \(401\)\n {6}mend the shop$/);
  expect(alone).not.toMatch(/wait|cannot work/);
  cloud.state.wrong = 'away';
  await monitor.recheck();
  expect(monitor.problems()).toMatchObject([
    { name: 'cloud', blocks: true },
    { name: 'shop', blocks: false },
  ]);
  expect(explainProblems(monitor.problems())).toMatch(
    /wait until this is fixed:\n {2}- cloud: away\n {6}mend the cloud\nWarning: .*:\n {2}- shop: /,
  );
});

test('a worker registers only after its first check', async () => {
  const cloud = fragile('cloud');
  cloud.state.wrong = 'away';
  const registered = () => at.database.selectFrom('workers').select('worker_id').execute();
  const seen: unknown[] = [];
  const { look } = cloud.probe;
  const watched: Probe = {
    ...cloud.probe,
    look: async () => {
      seen.push(await registered());
      return look();
    },
  };
  await start('w1', [watched]);
  expect(seen[0]).toEqual([]);
  expect(await registered()).toEqual([{ worker_id: 'w1' }]);
  expect(await readChecks(at.database)).toMatchObject([{ name: 'cloud', blocks: true }]);
});

test('a later problem is found too, at once if an attempt asks', async () => {
  const cloud = fragile('cloud');
  const monitor = await start('w1', [cloud.probe]);
  expect(monitor.waitReason('provision')).toBeUndefined();
  cloud.state.wrong = 'taken away';
  await monitor.recheck();
  expect(monitor.waitReason('provision')).toContain('taken away');
});

test('one lost answer of a healthy dependency makes nothing wait', async () => {
  const cloud = fragile('cloud');
  let fails = 0;
  const { look } = cloud.probe;
  const flaky: Probe = {
    ...cloud.probe,
    look: async () => {
      if (fails-- > 0) throw new Error('no answer');
      return look();
    },
  };
  const monitor = await start('w1', [flaky]);
  fails = 1;
  await monitor.recheck();
  expect(monitor.problems()).toEqual([]);
  expect(at.logged.filter(({ event }) => event === 'check.failed')).toEqual([]);
});

test('a problem that may pass gets some time at the start', async () => {
  const tailnet = fragile('tailnet');
  tailnet.state.wrong = 'not yet';
  const settling = vi
    .waitFor(() => expect(tailnet.state.looks).toBeGreaterThan(1), 10_000)
    .then(() => {
      tailnet.state.wrong = undefined;
    });
  const monitor = await start('w1', [{ ...tailnet.probe, settles: true }], 30);
  await settling;
  expect(monitor.problems()).toEqual([]);
});

test('one ready worker is enough; another one’s problems are reported; those of a stopped one are removed', async () => {
  const broken = fragile('plugins');
  broken.state.wrong = 'missing';
  await start('w1', [broken.probe]);
  await start('w2', [fragile('plugins').probe]);
  const [check] = await readChecks(at.database);
  expect(check).toMatchObject({
    ok: false,
    blocks: false,
    detail: expect.stringMatching(/^missing \(on .+\)$/),
  });
  await Promise.all(monitors.map((monitor) => monitor.stop()));
  await unregisterWorker(at.database, 'w2');
  expect(await readChecks(at.database)).toMatchObject([{ ok: false, blocks: true, detail: 'missing' }]);
  await unregisterWorker(at.database, 'w1');
  expect(await readChecks(at.database)).toEqual([]);
});

test('a check of one Hetzner project among several makes only that one wait', async () => {
  const us = fragile('hetzner:us');
  us.state.wrong = 'refused (401)';
  const monitor = await start('w1', [{ ...us.probe, project: 'us' }, fragile('hetzner:eu').probe]);
  expect(monitor.waitReason('provision')).toBeUndefined();
  const reasons = monitor.projectReasons?.();
  expect([...(reasons?.keys() ?? [])]).toEqual(['us']);
  expect(reasons?.get('us')).toContain('hetzner:us: refused (401). mend the hetzner:us');
  expect(await readChecks(at.database)).toMatchObject([
    { name: 'hetzner:eu', ok: true },
    { name: 'hetzner:us', ok: false, blocks: false },
  ]);
});
