import type { Generated, JSONColumnType } from 'kysely';
import type { ExecutorName } from '../config/executor-name.ts';
import type { Defaulted, DefaultedJson, DefaultTimestamp, Json, Timestamp } from './column-types.ts';
import type { RecoveryState } from './recovery-tables.ts';

export interface InstallationTable {
  singleton: Generated<boolean>;
  /** Twelve hexadecimal digits; a restored backup has those of the installation that made it. */
  installation_id: Generated<string>;
  mode: 'sandbox' | 'live' | 'rehearsal';
  /** Accounts as the configuration identifies them. */
  accounts: Json<Record<string, string>>;
  /** Accounts as their vendors identify them, for vendors that have been asked. */
  identities: JSONColumnType<Record<string, string>, string | undefined, string>;
  /** A known text, sealed with the installation's passphrase. */
  canary: Buffer | null;
  /** The key of that passphrase; null before the first start. */
  key_id: string | null;
  /** The key that is being replaced; null if nothing is left under it. */
  former_key_id: string | null;
  /** Stacks under the former key, as a worker saw them last; null: none has looked yet. */
  stacks_left: number | null;
  /** What needs a person for the change to end. */
  rekey_problems: DefaultedJson<string[]>;
  /** What encrypts the secrets in the stacks' state. */
  secrets_provider: Defaulted<string>;
  /**
   * Sandbox mode: the DATA_DIR of the process that hosts the sandbox. Processes that join read its addresses
   * there.
   */
  data_dir: string | null;
  /** Business time since which payments are followed; null: not yet. */
  billing_since: Timestamp | null;
  /** The executor of new attempts. */
  executor: Defaulted<ExecutorName>;
  /** How far the sandbox's clock is ahead, as Postgres writes an interval; `business_now()` adds it. */
  clock_offset: Defaulted<unknown>;
  recovery: Defaulted<RecoveryState>;
  created_at: DefaultTimestamp;
}
