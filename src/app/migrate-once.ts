import type { Config } from '../config/config.ts';
import { ConfigError } from '../config/config-error.ts';
import { migrateDatabase, SCHEMA_VERSION } from '../database/migrations.ts';
import { createLog } from '../log.ts';
import { say } from '../processes/terminal-text.mjs';
import { startQueue } from '../queue/queue.ts';

/**
 * Brings the database of DATABASE_URL, the queue's tables included, to this program's schema. Every start
 * does the same; a deployment that starts many processes can do it before them.
 * @throws ConfigError without DATABASE_URL; Error if the database cannot be migrated
 */
export async function migrateOnce(config: Config): Promise<void> {
  const { databaseUrl } = config;
  if (databaseUrl === undefined)
    throw new ConfigError('--role migrate needs DATABASE_URL: every start migrates the embedded Postgres');
  await migrateDatabase(databaseUrl);
  const queue = await startQueue({ url: databaseUrl, log: createLog() });
  await queue.stop();
  say(`The database has schema ${SCHEMA_VERSION}.`);
}
