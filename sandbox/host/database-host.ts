import { sql } from 'kysely';
import { isSameDatabase } from '../../src/config/database-url.ts';
import { createDatabase, createPool } from '../../src/database/connect.ts';
import { migrateDatabase } from '../../src/database/migrations.ts';
import { checkStamp } from '../../src/database/stamp.ts';
import { findDataDirOwner } from '../../src/processes/folder-lock.ts';
import { realPath } from '../../src/processes/real-path.mjs';
import { Secret } from '../../src/secret.ts';
import { readSandboxFile } from './sandbox-file.ts';

/** An arbitrary key; nothing else takes an advisory lock with it in this database. */
const LOCK = 7_316_402;

/**
 * Decides which DATA_DIR hosts the sandbox of a database: that of a live process that already hosts it, or
 * `dataDir`, a real path whose claim the caller holds. The database records it for processes that know only
 * DATABASE_URL.
 * @returns the DATA_DIR of the host.
 * @throws Error if the database belongs to another mode or account.
 */
export async function claimDatabase(
  databaseUrl: string,
  { dataDir, accounts }: { dataDir: string; accounts: Record<string, string> },
): Promise<string> {
  // A single connection, which holds the lock until it is closed.
  const url = new Secret(databaseUrl);
  // Another start may migrate meanwhile, which takes as long as the tables need.
  const pool = createPool(url, 1, 'agent-stacks launch', { queryTimeoutMs: 0 });
  const database = createDatabase(pool);
  try {
    await sql`select pg_advisory_lock(${LOCK})`.execute(database);
    await migrateDatabase(url);
    const stamped = await database.selectFrom('installation').selectAll().executeTakeFirst();
    const recorded = realPath(stamped?.data_dir ?? dataDir);
    if (recorded !== dataDir) {
      if (isHosting(recorded, databaseUrl)) return recorded;
      if (stamped?.mode === 'sandbox' && stamped.accounts.sandbox !== accounts.sandbox)
        throw new Error(
          `The sandbox of this database is in ${recorded}, where nothing runs now. Start it with DATA_DIR=${recorded}, or use another database.`,
        );
    }
    await checkStamp(database, { mode: 'sandbox', accounts });
    await database.updateTable('installation').set({ data_dir: dataDir }).execute();
    return dataDir;
  } finally {
    await database.destroy();
  }
}

/** Whether a live process hosts the sandbox of this database on that DATA_DIR. */
function isHosting(dataDir: string, databaseUrl: string): boolean {
  if (findDataDirOwner(dataDir) === null) return false;
  const file = readSandboxFile(dataDir);
  return file === undefined || isSameDatabase(file.databaseUrl, databaseUrl);
}
