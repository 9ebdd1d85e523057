import { sql } from 'kysely';
import { isSameDatabase } from '../../src/config/database-url.ts';
import { createDatabase, createPool } from '../../src/database/connect.ts';
import { migrate } from '../../src/database/migrations.ts';
import { checkStamp } from '../../src/database/stamp.ts';
import { findDataDirOwner } from '../../src/processes/folder-lock.ts';
import { realPath } from '../../src/processes/real-path.mjs';
import { Secret } from '../../src/secret.ts';
import { readSandboxFile } from './sandbox-file.ts';

/** Any number that nothing else in this database locks. */
const LOCK = 7_316_402;

/**
 * Decides which DATA_DIR hosts the sandbox of a database: the one of a live process that does already, or `dataDir`, whose claim
 * the caller holds (its real path); it is written down in the database, where those that know DATABASE_URL alone find it.
 * @returns the DATA_DIR of the host.
 * @throws Error where the database is of another mode or account.
 */
export async function claimDatabase(
  databaseUrl: string,
  { dataDir, accounts }: { dataDir: string; accounts: Record<string, string> },
): Promise<string> {
  // One connection, so that the lock is held for all of this and goes with it.
  const pool = createPool(new Secret(databaseUrl), 1, 'agent-stacks launch');
  const database = createDatabase(pool);
  try {
    await sql`select pg_advisory_lock(${LOCK})`.execute(database);
    await migrate(database);
    const stamped = await database.selectFrom('installation').selectAll().executeTakeFirst();
    const recorded = realPath(stamped?.data_dir ?? dataDir);
    if (recorded !== dataDir) {
      if (isHosting(recorded, databaseUrl)) return recorded;
      if (stamped?.mode === 'sandbox' && stamped.accounts.sandbox !== accounts.sandbox)
        throw new Error(
          `The sandbox of this database is kept in ${recorded}, and nothing runs there now. Start it with DATA_DIR=${recorded}, or use another database.`,
        );
    }
    await checkStamp(database, { mode: 'sandbox', accounts });
    await database.updateTable('installation').set({ data_dir: dataDir }).execute();
    return dataDir;
  } finally {
    await database.destroy();
  }
}

/** Whether a live process hosts the sandbox of this very database on that DATA_DIR. */
function isHosting(dataDir: string, databaseUrl: string): boolean {
  if (findDataDirOwner(dataDir) === null) return false;
  const file = readSandboxFile(dataDir);
  return file === undefined || isSameDatabase(file.databaseUrl, databaseUrl);
}
