import type { Database } from '../database/connect.ts';

const MOST = 100;

/** The latest backups and attempts, newest first. */
export function listBackups(database: Database) {
  return database.selectFrom('backups').selectAll().orderBy('backup_id', 'desc').limit(MOST).execute();
}
