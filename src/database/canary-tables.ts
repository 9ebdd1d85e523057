import type { ColumnType, Generated } from 'kysely';
import type { Defaulted, DefaultTimestamp, Numeric, Timestamp } from './column-types.ts';

type NullableNumeric = ColumnType<string | null, number | string | null, number | string | null>;

export interface CanaryTables {
  canary_runs: CanaryRunTable;
}

/** One agent's life from its provision to its destroy, to show that everything works. At most one runs. */
export interface CanaryRunTable {
  run_id: Generated<string>;
  agent_id: string;
  cause: 'person' | 'schedule';
  region: string;
  plan: string;
  /** What it may cost, in the account's currency. */
  max_euros: Numeric;
  /** Null until the prices are known. */
  expected_euros: NullableNumeric;
  status: Defaulted<'running' | 'succeeded' | 'failed' | 'refused'>;
  error: string | null;
  started_at: DefaultTimestamp;
  finished_at: Timestamp | null;
}
