import type pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { inTransaction, openSandboxDatabase } from '../../sandbox/database.ts';
import { type DueHandler, scheduleDue, startDueLoop } from '../../sandbox/due.ts';
import { createDatabase } from '../support/postgres.ts';
import { eventually } from './hetzner/setup.ts';

async function openPool(): Promise<pg.Pool> {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  const pool = await openSandboxDatabase(database.url);
  onTestFinished(() => pool.end());
  return pool;
}

function startLoop(pool: pg.Pool, handler: DueHandler) {
  const stop = new AbortController();
  const done = startDueLoop(pool, { test: handler }, { signal: stop.signal, pollMs: 5, retryMs: 5 });
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

const emptied = (pool: pg.Pool) =>
  eventually(async () => ((await pool.query('SELECT 1 FROM due')).rowCount === 0 ? true : undefined));

test('work is done when its time has come, once, and in the order of times', async () => {
  const pool = await openPool();
  const done: [string, boolean][] = [];
  const late = inMs(120);
  await scheduleDue(pool, { kind: 'test', key: 'late', at: late, payload: { name: 'late' } });
  await scheduleDue(pool, { kind: 'test', key: 'now', at: inMs(0), payload: { name: 'now' } });
  await scheduleDue(pool, { kind: 'other', key: 'now', at: inMs(0), payload: {} });
  startLoop(pool, async ({ name }) => void done.push([name, Date.now() >= late.getTime()]));
  await eventually(async () => (done.length === 2 ? true : undefined));
  expect(done).toEqual([
    ['now', false],
    ['late', true],
  ]);
  const left = await eventually(async () => {
    const { rows } = await pool.query('SELECT kind FROM due');
    return rows.length === 1 ? rows : undefined;
  });
  expect(left).toEqual([{ kind: 'other' }]);
});

test('what fails is tried again', async () => {
  const pool = await openPool();
  const attempts: number[] = [];
  await scheduleDue(pool, { kind: 'test', key: 'a', at: inMs(0), payload: {} });
  startLoop(pool, async (_payload, { attempt }) => {
    attempts.push(attempt);
    if (attempt < 3) throw new Error('not yet');
  });
  await emptied(pool);
  expect(attempts).toEqual([1, 2, 3]);
});

test('what a handler schedules under its own key is kept', async () => {
  const pool = await openPool();
  const rounds: number[] = [];
  await scheduleDue(pool, { kind: 'test', key: 'a', at: inMs(0), payload: { round: 1 } });
  startLoop(pool, async ({ round }) => {
    rounds.push(round);
    if (round < 3)
      await scheduleDue(pool, { kind: 'test', key: 'a', at: inMs(5), payload: { round: round + 1 } });
  });
  await emptied(pool);
  expect(rounds).toEqual([1, 2, 3]);
});

test('a slow piece of work does not hold up others, and is not begun twice', async () => {
  const pool = await openPool();
  const begun: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const key of ['slow', 'quick'])
    await scheduleDue(pool, { kind: 'test', key, at: inMs(0), payload: { key } });
  const end = startLoop(pool, async ({ key }) => {
    begun.push(key);
    if (key === 'slow') await promise;
  });
  onTestFinished(() => resolve());
  await eventually(async () => ((await pool.query('SELECT 1 FROM due')).rowCount === 1 ? true : undefined));
  resolve();
  await emptied(pool);
  await end();
  expect(begun.sort()).toEqual(['quick', 'slow']);
});

test('work that was under way in a process that died is done by the next', async () => {
  const pool = await openPool();
  await scheduleDue(pool, { kind: 'test', key: 'a', at: inMs(0), payload: {} });
  const { promise, resolve } = Promise.withResolvers<void>();
  let begun = 0;
  startLoop(pool, async () => {
    begun += 1;
    await promise;
  });
  onTestFinished(() => resolve());
  await eventually(async () => (begun === 1 ? true : undefined));
  let done = 0;
  startLoop(pool, async () => {
    done += 1;
  });
  await emptied(pool);
  expect(done).toBe(1);
});

test('work that was scheduled in a transaction that failed is not done', async () => {
  const pool = await openPool();
  const failing = inTransaction(pool, async (client) => {
    await scheduleDue(client, { kind: 'test', key: 'a', at: inMs(0), payload: {} });
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect((await pool.query('SELECT 1 FROM due')).rowCount).toBe(0);
});

test('tables of a newer sandbox are not touched', async () => {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  const newer = { area: 'shop', version: 2, statements: ['CREATE TABLE IF NOT EXISTS shop (id int)'] };
  await (await openSandboxDatabase(database.url, [newer])).end();
  await (await openSandboxDatabase(database.url, [newer])).end();
  await expect(openSandboxDatabase(database.url, [{ ...newer, version: 1 }])).rejects.toThrow(
    'version 2 of shop',
  );
});
