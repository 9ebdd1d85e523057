import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

/** A database for one test or one test file. */
export interface TestDatabase {
  url: string;
  /** Drops it; open sessions are terminated. */
  drop(): Promise<void>;
}

/** Whose tables a database has from the start: test/support/templates.ts makes them. */
export type Template = 'service' | 'sandbox';

export const templateName = (template: Template): string => `template-${template}`;

/** Creates a database in the Postgres shared by the whole test run: an empty one, or a copy. */
export async function createDatabase(template?: Template): Promise<TestDatabase> {
  const adminUrl = inject('postgresAdminUrl');
  // Without `_`, which Pulumi's backend treats as a wildcard.
  const name = `test-${randomBytes(6).toString('hex')}`;
  const source = template === undefined ? 'template0' : templateName(template);
  await execute(adminUrl, `CREATE DATABASE "${name}" TEMPLATE "${source}" STRATEGY file_copy`);
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => execute(adminUrl, `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`) };
}

/** Runs one statement in a connection of its own. */
export async function execute(adminUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
