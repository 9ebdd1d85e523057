import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

/** A database that exists for one test or one test file. */
export interface TestDatabase {
  url: string;
  /** Removes it; sessions that are still open in it are cut. */
  drop(): Promise<void>;
}

/** An empty database in the Postgres that the whole test run shares. */
export async function createDatabase(): Promise<TestDatabase> {
  const adminUrl = inject('postgresAdminUrl');
  // Without `_`: Pulumi's backend looks its rows up by patterns in which that stands for any letter.
  const name = `test-${randomBytes(6).toString('hex')}`;
  await execute(adminUrl, `CREATE DATABASE "${name}" TEMPLATE template0 STRATEGY file_copy`);
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => execute(adminUrl, `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`) };
}

async function execute(adminUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
