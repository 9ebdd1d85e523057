import pg from 'pg';
import { expect, test } from 'vitest';
import { createDatabase } from '../support/postgres.ts';

test('a test database is empty and gone after drop', async () => {
  const database = await createDatabase();
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  expect((await client.query("SELECT FROM pg_tables WHERE schemaname = 'public'")).rowCount).toBe(0);
  await client.end();
  await database.drop();
});
