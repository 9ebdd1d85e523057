import { pino } from 'pino';
import { openSandboxDatabase } from '../../sandbox/database.ts';
import { SANDBOX_SCHEMAS } from '../../sandbox/start.ts';
import { createDatabase, createPool } from '../../src/database/connect.ts';
import { migrate } from '../../src/database/migrations.ts';
import { startQueue } from '../../src/queue/queue.ts';
import { Secret } from '../../src/secret.ts';
import { execute, templateName } from './postgres.ts';
import { INSTALLATION_DATABASES } from './prepared-cluster.ts';

type Filled = keyof typeof INSTALLATION_DATABASES;

/**
 * Makes the databases of an installation, so that not each test creates all tables once more. Opening a copy
 * goes through the same code, which finds nothing to do.
 */
export async function makeDatabases(adminUrl: string): Promise<void> {
  const make = async (which: Filled, fill: (url: string) => Promise<void>) => {
    const name = INSTALLATION_DATABASES[which];
    await execute(adminUrl, `CREATE DATABASE "${name}" TEMPLATE template0`);
    const url = new URL(adminUrl);
    url.pathname = `/${name}`;
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
    make('pulumi', () => Promise.resolve()),
  ]);
}

/** Makes those that the tests' own databases are copied from of the installation's. */
export async function nameTemplates(adminUrl: string): Promise<void> {
  for (const which of ['service', 'sandbox'] as const)
    await execute(
      adminUrl,
      `ALTER DATABASE "${INSTALLATION_DATABASES[which]}" RENAME TO "${templateName(which)}"`,
    );
  await execute(adminUrl, `DROP DATABASE "${INSTALLATION_DATABASES.pulumi}"`);
}
