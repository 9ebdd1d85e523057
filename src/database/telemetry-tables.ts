import type { Generated } from 'kysely';
import type { Defaulted, DefaultedJson, Timestamp } from './column-types.ts';

export interface TelemetryTables {
  operation_spans: OperationSpanTable;
  exported_traces: ExportedTraceTable;
  tally_changes: TallyChangeTable;
  tallies: TallyTable;
}

/** Something that took time within an attempt, in more detail than its steps. */
export interface OperationSpanTable {
  id: Generated<number>;
  operation_id: string;
  /** 0: outside of any attempt. */
  attempt: number;
  kind: 'webhook' | 'callback' | 'run' | 'resource' | 'play' | 'task';
  name: string;
  started_at: Timestamp;
  ended_at: Timestamp;
  outcome: 'success' | 'failure' | 'skip';
  attributes: DefaultedJson<Record<string, string | number>>;
}

export interface ExportedTraceTable {
  operation_id: string;
  /** The end of the operation that was exported; a retry has another one. */
  finished_at: Timestamp;
  /** Null once a collector has it. */
  claimed_until: Timestamp | null;
}

/** A count that changed and is not in `tallies` yet. Triggers write these rows. */
export interface TallyChangeTable {
  id: Generated<number>;
  tally: string;
  labels: Record<string, string>;
  count: number;
  seconds: Defaulted<number>;
}

export interface TallyTable {
  tally: string;
  labels: Record<string, string>;
  count: number;
  seconds: number;
}
