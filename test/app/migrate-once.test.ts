import { expect, test } from 'vitest';
import { migrateOnce } from '../../src/app/migrate-once.ts';
import { readConfig } from '../../src/config/config.ts';
import { createDatabase as createKysely, createPool } from '../../src/database/connect.ts';
import { databaseVersion, SCHEMA_VERSION } from '../../src/database/migrations.ts';
import { Secret } from '../../src/secret.ts';
import { createDatabase } from '../support/postgres.ts';

test('one call makes all tables, the queue’s too, and a second changes nothing', async () => {
  const { url, drop } = await createDatabase();
  const config = readConfig({ DATABASE_URL: url });
  await migrateOnce(config);
  await migrateOnce(config);
  const pool = createPool(new Secret(url), 1, 'test');
  const database = createKysely(pool);
  expect(await databaseVersion(database)).toBe(SCHEMA_VERSION);
  const { rows } = await pool.query("select to_regclass('pgboss.job') is not null as found");
  expect(rows).toEqual([{ found: true }]);
  await database.destroy();
  await drop();
});

test('the embedded Postgres is migrated by a start alone', async () => {
  await expect(migrateOnce(readConfig({}))).rejects.toThrow(/needs DATABASE_URL/);
});
