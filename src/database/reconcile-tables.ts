import type { Generated } from 'kysely';
import type { Defaulted, DefaultedJson, DefaultTimestamp, NullableJson, Timestamp } from './column-types.ts';

export interface WorkerTable {
  worker_id: string;
  host: string;
  /** Its process as orphans.ts names it, which tells it from a later process with the same pid. */
  process: string;
  concurrency: number;
  started_at: DefaultTimestamp;
  seen_at: DefaultTimestamp;
}

/** What a worker has last found out about its own configuration (src/reconcile/checks). */
export interface CheckTable {
  worker_id: string;
  name: string;
  ok: boolean;
  /** Whether operations wait until it is well. */
  blocks: boolean;
  detail: string;
  cure: string | null;
  checked_at: DefaultTimestamp;
}

/** Where a listing goes on whose budget had cut it short. */
export interface SweepCursor {
  list: 'servers' | 'ssh-keys';
  page: number;
  /** The highest id of a server on the pages before. */
  afterServerId: number;
}

export interface SweepTable {
  sweep_id: Generated<number>;
  started_at: DefaultTimestamp;
  /** Null while it runs, and for good where its process died. */
  finished_at: Timestamp | null;
  calls: Defaulted<number>;
  listed: Defaulted<number>;
  removed: Defaulted<number>;
  findings: DefaultedJson<string[]>;
  note: string | null;
  /** Where the next one goes on. */
  next: NullableJson<SweepCursor> | null;
}

/** When an agent that runs is asked next whether it is healthy. */
export interface HealthCheckTable {
  agent_id: string;
  due_at: Timestamp;
  /** The first check since it last answered; null while it does. */
  silent_since: Timestamp | null;
}
