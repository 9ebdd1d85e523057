import { sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { databaseVersion, migrate, migrateDatabase, SCHEMA_VERSION } from '../../src/database/migrations.ts';
import { Secret } from '../../src/secret.ts';
import { openEmpty } from './support.ts';

let at: Awaited<ReturnType<typeof openEmpty>>;
beforeEach(async () => {
  at = await openEmpty();
});
afterEach(() => at.close());

test('an empty database gets the newest schema, and a second run changes nothing', async () => {
  expect(await databaseVersion(at.database)).toBeUndefined();
  await migrate(at.database);
  expect(await databaseVersion(at.database)).toBe(SCHEMA_VERSION);
  await at.database
    .insertInto('workers')
    .values({ worker_id: 'w', host: 'h', process: 'p', concurrency: 1 })
    .execute();
  await migrate(at.database);
  expect(await at.database.selectFrom('workers').selectAll().execute()).toHaveLength(1);
});

test('processes that migrate an empty database at once do not conflict', async () => {
  const others = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const { createDatabase, createPool } = await import('../../src/database/connect.ts');
      return createDatabase(createPool(new Secret(at.url), 2, 'another process'));
    }),
  );
  try {
    await Promise.all([at.database, ...others].map((database) => migrate(database)));
    expect(await databaseVersion(at.database)).toBe(SCHEMA_VERSION);
  } finally {
    await Promise.all(others.map((other) => other.destroy()));
  }
});

test('a database newer than the program is refused and left unchanged', async () => {
  await migrate(at.database);
  await sql`insert into kysely_migration (name, timestamp) values ('9999-later', now()::text)`.execute(
    at.database,
  );
  await expect(migrate(at.database)).rejects.toThrow(
    /schema 9999-later, which is newer than this program's .*Start the version/,
  );
  expect(await databaseVersion(at.database)).toBe('9999-later');
});

test('a table that another session keeps locked stops the migration with a reason, and changes nothing', async () => {
  const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>();
  const { promise: locked, resolve: hasLocked } = Promise.withResolvers<void>();
  const other = at.database.transaction().execute(async (trx) => {
    await sql`create table agents (other int)`.execute(trx);
    hasLocked();
    await mayEnd;
    await sql`drop table agents`.execute(trx);
  });
  await locked;
  try {
    await expect(migrate(at.database, { lockTimeoutMs: 50 })).rejects.toThrow(
      /nothing in it has changed: another session keeps a lock on a table.*pg_stat_activity/,
    );
    expect(await databaseVersion(at.database)).toBeUndefined();
  } finally {
    end();
    await other;
  }
  await migrateDatabase(new Secret(at.url));
  expect(await databaseVersion(at.database)).toBe(SCHEMA_VERSION);
});
