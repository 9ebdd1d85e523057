import { join } from 'node:path';
import { type BackupConfig, readBackups } from './backups.ts';
import { duration } from './billing.ts';
import type { EnvironmentReader } from './environment-reader.ts';

/** What is expected of this installation's backups. */
export interface BackupExpectation {
  /** The age at which the newest is too old; undefined: nobody watches. */
  mostHours: number | undefined;
  /** Where a job of the operator's own says when the newest of its backups was finished. */
  record: string;
}

const HOUR_MS = 3_600_000;

export function readBackupSettings(
  reader: EnvironmentReader,
  dataDir: string,
): { backups: BackupConfig; expectedBackups: BackupExpectation } {
  const backups = readBackups(reader);
  return { backups, expectedBackups: readExpectation(reader, dataDir, backups) };
}

/** A schedule is watched without being told to: by default one backup may fail, and no two in a row. */
function readExpectation(
  reader: EnvironmentReader,
  dataDir: string,
  { to, everyMs }: Pick<BackupConfig, 'to' | 'everyMs'>,
): BackupExpectation {
  const scheduled = to === undefined ? undefined : 2 * everyMs;
  const most = reader.read('BACKUP_MAX_AGE', duration) ?? scheduled;
  return {
    mostHours: most === undefined ? undefined : most / HOUR_MS,
    record: reader.text('BACKUP_RECORD') ?? join(dataDir, 'newest-backup.json'),
  };
}
