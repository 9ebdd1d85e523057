import type { DefaultTimestamp } from './column-types.ts';

export interface KeyTables {
  key_epochs: KeyEpochTable;
  processes: ProcessTable;
}

/** A passphrase of this installation, past or present, and what it was used from. */
export interface KeyEpochTable {
  epoch: number;
  key_id: string;
  /** The first link of the audit chain under this key. */
  first_position: number;
  /** What is still needed of a former key, sealed with the present one; null for the present one. */
  kept: Buffer | null;
  since: DefaultTimestamp;
}

/** A process of the service, or GitHub's runners as one; it knows these passphrases. */
export interface ProcessTable {
  process_id: string;
  role: 'all' | 'api' | 'worker' | 'runner';
  key_ids: string[];
  seals_with: string;
  seen_at: DefaultTimestamp;
}
