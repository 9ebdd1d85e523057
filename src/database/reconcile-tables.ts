import type { Generated } from 'kysely';
import type { Defaulted, DefaultedJson, DefaultTimestamp, NullableJson, Timestamp } from './column-types.ts';

export interface WorkerTable {
  worker_id: string;
  host: string;
  /** Its process as orphans.ts identifies it, to distinguish it from a later process with the same pid. */
  process: string;
  concurrency: number;
  started_at: DefaultTimestamp;
  seen_at: DefaultTimestamp;
}

/** The latest result of a worker's check of its configuration (src/reconcile/checks). */
export interface CheckTable {
  worker_id: string;
  name: string;
  ok: boolean;
  /** Whether operations wait until the check passes. */
  blocks: boolean;
  detail: string;
  cure: string | null;
  checked_at: DefaultTimestamp;
  /** Since when `ok` has been what it is. */
  since: DefaultTimestamp;
}

/** Where to resume the listing of a Hetzner project that ran out of budget. */
export interface ProjectCursor {
  list: 'servers' | 'ssh-keys' | 'snapshots';
  page: number;
  /** The highest server id on the previous pages. */
  afterServerId: number;
}

/** Where to resume a sweep. */
export interface SweepPosition {
  /** Those whose lists are not complete; any other begins with its first page. */
  projects: Record<string, ProjectCursor>;
  /** Whether SSH keys were counted instead of listed since the cycle began. */
  omittedKeys?: boolean | undefined;
  /**
   * The first sweep of the cycle, if every mismatch since then was stored. Without it the end of the cycle
   * shows nothing about the mismatches of earlier ones.
   */
  cycle?: number | undefined;
}

export interface SweepTable {
  sweep_id: Generated<number>;
  started_at: DefaultTimestamp;
  /** Null while the sweep runs, and forever if its process died. */
  finished_at: Timestamp | null;
  calls: Defaulted<number>;
  listed: Defaulted<number>;
  removed: Defaulted<number>;
  findings: DefaultedJson<string[]>;
  note: string | null;
  /** Whether SSH keys were counted instead of listed, in one project at least, since the cycle began. */
  omitted_keys: Defaulted<boolean>;
  /** Where the next sweep resumes. Earlier versions had one project's cursor here. */
  next: NullableJson<SweepPosition | (ProjectCursor & { cycle?: number })> | null;
}

/** When the next health check of a running agent is due. */
export interface HealthCheckTable {
  agent_id: string;
  due_at: Timestamp;
  /** The first unanswered check since its last answer; null while it answers. */
  silent_since: Timestamp | null;
}
