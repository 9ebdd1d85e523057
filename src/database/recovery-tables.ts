import type { DefaultTimestamp, Timestamp } from './column-types.ts';

/** `needed`: the project has servers of an earlier database, which this one does not know yet. */
export type RecoveryState = 'none' | 'unchecked' | 'needed';

export interface RecoveryTables {
  cloud_records: CloudRecordTable;
}

/** What was last written into the labels of an agent's or a slot's SSH key (src/agents/cloud-record.ts). */
export interface CloudRecordTable {
  owner_id: string;
  /** The `updated_at` of the row that it is of; null: none was written. */
  seen: Timestamp | null;
  /** Of the labels. */
  digest: string | null;
  error: string | null;
  retry_at: DefaultTimestamp;
}
