import { pino } from 'pino';
import { openSandboxDatabase } from '../../sandbox/database.ts';
import { SANDBOX_SCHEMAS } from '../../sandbox/start.ts';
import { createDatabase, createPool } from '../../src/database/connect.ts';
import { migrate } from '../../src/database/migrations.ts';
import { startQueue } from '../../src/queue/queue.ts';
import { Secret } from '../../src/secret.ts';
import { execute, type Template, templateName } from './postgres.ts';

/**
 * Makes the databases that the tests' databases are copied from, so that each test does not create all tables
 * once more. Opening a copy goes through the same code, which finds nothing to do.
 */
export async function makeTemplates(adminUrl: string): Promise<void> {
  const make = async (template: Template, fill: (url: string) => Promise<void>) => {
    await execute(adminUrl, `CREATE DATABASE "${templateName(template)}" TEMPLATE template0`);
    const url = new URL(adminUrl);
    url.pathname = `/${templateName(template)}`;
    await fill(url.href);
    // The session after the last change writes what all sessions of all copies begin with.
    await execute(url.href, 'select 1');
  };
  await Promise.all([
    make('service', async (address) => {
      const url = new Secret(address);
      const database = createDatabase(createPool(url, 2, 'template'));
      await migrate(database);
      await database.destroy();
      await (await startQueue({ url, log: pino({ level: 'silent' }) })).stop();
    }),
    make('sandbox', async (url) => (await openSandboxDatabase(url, SANDBOX_SCHEMAS)).destroy()),
  ]);
}
