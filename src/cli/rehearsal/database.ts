import { createHmac } from 'node:crypto';
import pg from 'pg';
import { withoutTls } from '../../config/database-url.ts';

/** The login and the database of the installation that is rehearsed. */
const NAME = 'rehearsed';

/**
 * Creates a login and a database as docs/live-mode.md asks for, unless they exist. The password is the same
 * at every start, because a running installation knows it.
 * @param secret which only the sandbox's owner knows
 * @returns its address
 */
export async function ensureRehearsedDatabase(adminUrl: string, secret: string): Promise<string> {
  const password = createHmac('sha256', secret).update('the database of the rehearsal').digest('hex');
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ role: boolean; database: boolean }>(
      `select exists (select from pg_roles where rolname = $1) as role,
        exists (select from pg_database where datname = $1) as database`,
      [NAME],
    );
    // Neither name nor password has anything to escape.
    if (rows[0]?.role !== true)
      await client.query(`create role ${NAME} login createrole createdb password '${password}'`);
    if (rows[0]?.database !== true) await client.query(`create database ${NAME} owner ${NAME}`);
  } finally {
    await client.end();
  }
  const url = new URL(adminUrl);
  url.username = NAME;
  url.password = password;
  url.pathname = `/${NAME}`;
  return withoutTls(url.href);
}
