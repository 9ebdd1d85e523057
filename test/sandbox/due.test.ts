import { expect, onTestFinished, test } from 'vitest';
import { openSandboxDatabase, type SandboxDatabase } from '../../sandbox/database.ts';
import { type DueHandler, scheduleDue, startDueLoop } from '../../sandbox/due.ts';
import { createDatabase } from '../support/postgres.ts';
import { eventually } from '../support/sandbox-hetzner.ts';

async function openDatabase(): Promise<SandboxDatabase> {
  const created = await createDatabase();
  onTestFinished(() => created.drop());
  const database = await openSandboxDatabase(created.url);
  onTestFinished(() => database.destroy());
  return database;
}

function startLoop(database: SandboxDatabase, handler: DueHandler) {
  const stop = new AbortController();
  const done = startDueLoop(database, { test: handler }, { signal: stop.signal, pollMs: 5, retryMs: 5 });
  const end = async () => {
    stop.abort();
    await done;
  };
  onTestFinished(end);
  return end;
}

function inMs(ms: number): Date {
  return new Date(Date.now() + ms);
}

const dueKinds = async (database: SandboxDatabase) =>
  (await database.selectFrom('due').select('kind').execute()).map(({ kind }) => kind);

const dueCount = (database: SandboxDatabase, count: number) =>
  eventually(async () => ((await dueKinds(database)).length === count ? true : undefined));
const emptied = (database: SandboxDatabase) => dueCount(database, 0);

test('work runs once, when it is due, in the order of due times', async () => {
  const database = await openDatabase();
  const done: [string, boolean][] = [];
  const late = inMs(120);
  await scheduleDue(database, { kind: 'test', key: 'late', at: late, payload: { name: 'late' } });
  await scheduleDue(database, { kind: 'test', key: 'now', at: inMs(0), payload: { name: 'now' } });
  await scheduleDue(database, { kind: 'other', key: 'now', at: inMs(0), payload: {} });
  startLoop(database, async ({ name }) => void done.push([name, Date.now() >= late.getTime()]));
  await eventually(async () => (done.length === 2 ? true : undefined));
  expect(done).toEqual([
    ['now', false],
    ['late', true],
  ]);
  await dueCount(database, 1);
  expect(await dueKinds(database)).toEqual(['other']);
});

test('failed work is retried', async () => {
  const database = await openDatabase();
  const attempts: number[] = [];
  await scheduleDue(database, { kind: 'test', key: 'a', at: inMs(0), payload: {} });
  startLoop(database, async (_payload, { attempt }) => {
    attempts.push(attempt);
    if (attempt < 3) throw new Error('not yet');
  });
  await emptied(database);
  expect(attempts).toEqual([1, 2, 3]);
});

test('work that a handler schedules under its own key is kept', async () => {
  const database = await openDatabase();
  const rounds: number[] = [];
  await scheduleDue(database, { kind: 'test', key: 'a', at: inMs(0), payload: { round: 1 } });
  startLoop(database, async ({ round }) => {
    rounds.push(round);
    if (round < 3)
      await scheduleDue(database, { kind: 'test', key: 'a', at: inMs(5), payload: { round: round + 1 } });
  });
  await emptied(database);
  expect(rounds).toEqual([1, 2, 3]);
});

test('slow work does not block other work, and does not start twice', async () => {
  const database = await openDatabase();
  const begun: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const key of ['slow', 'quick'])
    await scheduleDue(database, { kind: 'test', key, at: inMs(0), payload: { key } });
  const end = startLoop(database, async ({ key }) => {
    begun.push(key);
    if (key === 'slow') await promise;
  });
  onTestFinished(() => resolve());
  await dueCount(database, 1);
  resolve();
  await emptied(database);
  await end();
  expect(begun.sort()).toEqual(['quick', 'slow']);
});

test('work interrupted by a dead process is done by the next', async () => {
  const database = await openDatabase();
  await scheduleDue(database, { kind: 'test', key: 'a', at: inMs(0), payload: {} });
  const { promise, resolve } = Promise.withResolvers<void>();
  let begun = 0;
  startLoop(database, async () => {
    begun += 1;
    await promise;
  });
  onTestFinished(() => resolve());
  await eventually(async () => (begun === 1 ? true : undefined));
  let done = 0;
  startLoop(database, async () => {
    done += 1;
  });
  await emptied(database);
  expect(done).toBe(1);
});

test('work scheduled in a rolled back transaction is not done', async () => {
  const database = await openDatabase();
  const failing = database.transaction().execute(async (trx) => {
    await scheduleDue(trx, { kind: 'test', key: 'a', at: inMs(0), payload: {} });
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(await dueKinds(database)).toEqual([]);
});

test('tables of a newer sandbox are not touched', async () => {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  const newer = { area: 'shop', version: 2, statements: ['CREATE TABLE IF NOT EXISTS shop (id int)'] };
  await (await openSandboxDatabase(database.url, [newer])).destroy();
  await (await openSandboxDatabase(database.url, [newer])).destroy();
  await expect(openSandboxDatabase(database.url, [{ ...newer, version: 1 }])).rejects.toThrow(
    'version 2 of shop',
  );
});
