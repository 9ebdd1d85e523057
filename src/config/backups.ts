import { join } from 'node:path';
import { duration } from './billing.ts';
import type { EnvironmentReader } from './environment-reader.ts';

/** What is expected of this installation's backups. */
export interface BackupExpectation {
  /** The age at which the newest is too old; undefined: nobody watches. */
  mostHours: number | undefined;
  /** Where whatever makes them says when the newest was finished. */
  record: string;
}

const HOUR_MS = 3_600_000;

export function readBackupExpectation(reader: EnvironmentReader, dataDir: string): BackupExpectation {
  const most = reader.read('BACKUP_MAX_AGE', duration);
  return {
    mostHours: most === undefined ? undefined : most / HOUR_MS,
    record: reader.text('BACKUP_RECORD') ?? join(dataDir, 'newest-backup.json'),
  };
}
