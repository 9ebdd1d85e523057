import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  createDatabase as createKysely,
  createPool,
  isDatabaseUnavailable,
} from '../../src/database/connect.ts';
import { RetryableError } from '../../src/errors.ts';
import { requestJson } from '../../src/http-client/request.ts';
import { Secret } from '../../src/secret.ts';
import { startProxy } from '../../tools/faults/database-proxy.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

test('another connection that is refused or broken is not a database outage', async () => {
  const refused = await requestJson({ method: 'GET', url: 'http://127.0.0.1:9', headers: {} }).catch(
    (thrown: unknown) => thrown,
  );
  expect(refused).toBeInstanceOf(RetryableError);
  expect(isDatabaseUnavailable(refused)).toBe(false);
  const reset = Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
  expect(isDatabaseUnavailable(reset)).toBe(false);
});

test('a database that does not listen is an outage, for pools, clients and wrapped errors', async () => {
  const pool = createPool(new Secret('postgres://127.0.0.1:9/none'), 1, 'test');
  for (const ask of [() => pool.query('select 1'), () => pool.connect()]) {
    const error = await ask().catch((thrown: unknown) => thrown);
    expect(isDatabaseUnavailable(error)).toBe(true);
    expect(isDatabaseUnavailable(new Error('wrapped', { cause: error }))).toBe(true);
  }
  await pool.end();
});

test('a process that is paused in a transaction does not keep its locks', async () => {
  const pool = createPool(new Secret(database.url), 2, 'test');
  await pool.query('create table taken (id int primary key)');
  await pool.query('insert into taken values (1)');
  const stopped = await pool.connect();
  const { rows } = await stopped.query('show idle_in_transaction_session_timeout');
  expect(rows).toEqual([{ idle_in_transaction_session_timeout: '15s' }]);
  // The real limit would only slow the test down.
  await stopped.query('set idle_in_transaction_session_timeout = 100');
  await stopped.query('begin');
  await stopped.query('select * from taken for update');
  await pool.query('update taken set id = 2');
  // It learns that the database was away, so its attempt is lost, not failed.
  const error = await stopped.query('commit').catch((thrown: unknown) => thrown);
  expect(isDatabaseUnavailable(error)).toBe(true);
  stopped.release(true);
  await pool.end();
});

test('a server that falls silent without closing its connections is left for a new connection', async () => {
  const proxy = await startProxy(database.url);
  const pool = createPool(new Secret(proxy.url), 1, 'test', { queryTimeoutMs: 300 });
  const kysely = createKysely(pool);
  await sql`select 1`.execute(kysely);
  proxy.silence();
  const error = await sql`select 1`.execute(kysely).catch((thrown: unknown) => thrown);
  expect(isDatabaseUnavailable(error)).toBe(true);
  await sql`select 1`.execute(kysely);
  proxy.silence();
  // In a transaction, the rollback must not wait for the silent server as well.
  const lost = kysely.transaction().execute((trx) => sql`select 1`.execute(trx));
  expect(isDatabaseUnavailable(await lost.catch((thrown: unknown) => thrown))).toBe(true);
  await sql`select 1`.execute(kysely);
  await kysely.destroy();
  await proxy.cut();
});

test('a server that accepts no changes is an outage, and its connections are given up', async () => {
  const pool = createPool(new Secret(database.url), 1, 'test');
  const name = new URL(database.url).pathname.slice(1);
  const kysely = createKysely(pool);
  await sql`create table changed (id int)`.execute(kysely);
  await sql`set default_transaction_read_only = on`.execute(kysely);
  const write = sql`insert into changed values (1)`;
  const refused = await write.execute(kysely).catch((thrown: unknown) => thrown);
  expect(isDatabaseUnavailable(refused)).toBe(true);
  await write.execute(kysely);
  await sql.raw(`alter database "${name}" set default_transaction_read_only = on`).execute(kysely);
  await pool.end();
  // Reads could be stale: a connection to such a server is not used at all.
  const standby = createPool(new Secret(database.url), 1, 'test');
  const error = await standby.query('select 1').catch((thrown: unknown) => thrown);
  expect(isDatabaseUnavailable(error)).toBe(true);
  expect(String(error)).toContain('accepts no changes');
  await standby.end();
});
