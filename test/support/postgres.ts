import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

/** A database for one test or one test file. */
export interface TestDatabase {
  url: string;
  /** Drops it; open sessions are terminated. */
  drop(): Promise<void>;
}

/** Creates an empty database in the Postgres shared by the whole test run. */
export async function createDatabase(): Promise<TestDatabase> {
  const adminUrl = inject('postgresAdminUrl');
  // Without `_`, which Pulumi's backend treats as a wildcard.
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
