import type { Generated } from 'kysely';
import type { DefaultTimestamp, Timestamp } from './column-types.ts';

/** `needed`: the project has servers of an earlier database, which this one does not know yet. */
export type RecoveryState = 'none' | 'unchecked' | 'needed';

export interface RecoveryTables {
  cloud_records: CloudRecordTable;
  backups: BackupTable;
}

/** What was last written into the labels of an agent's or a slot's SSH key (src/agents/cloud-record.ts). */
export interface CloudRecordTable {
  owner_id: string;
  /** The `updated_at` of the row that it is of; null: none was written. */
  seen: Timestamp | null;
  /** Of the labels. */
  digest: string | null;
  /** The key that it was sealed with. */
  key_id: string | null;
  /** In which format; null: in one of an earlier version. */
  format: number | null;
  error: string | null;
  retry_at: DefaultTimestamp;
}

/** A backup of both databases, or the attempt at one. */
export interface BackupTable {
  backup_id: Generated<number>;
  started_at: DefaultTimestamp;
  finished_at: Timestamp | null;
  /** Where it is, without credentials; null until it is there. */
  location: string | null;
  bytes: number | null;
  row_count: number | null;
  /** When it was restored into a scratch database and found complete. */
  verified_at: Timestamp | null;
  error: string | null;
}
