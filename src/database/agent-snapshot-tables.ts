import type { Defaulted, DefaultTimestamp, Timestamp } from './column-types.ts';

/** In lifecycle order. `lost`: Hetzner no longer has it, and nobody here has deleted it. */
export const AGENT_SNAPSHOT_STATUSES = ['making', 'available', 'removing', 'removed', 'lost'] as const;
export type AgentSnapshotStatus = (typeof AGENT_SNAPSHOT_STATUSES)[number];
export const AGENT_SNAPSHOT_REASONS = ['scheduled', 'by-hand', 'before-destroy'] as const;
export type AgentSnapshotReason = (typeof AGENT_SNAPSHOT_REASONS)[number];

export interface AgentSnapshotTables {
  agent_snapshots: AgentSnapshotTable;
  snapshot_drills: SnapshotDrillTable;
}

/** A snapshot of an agent's disk that is kept beside its server. */
export interface AgentSnapshotTable {
  /** The id of the operation that makes it, and its label at Hetzner. */
  snapshot_id: string;
  agent_id: string;
  why: AgentSnapshotReason;
  status: Defaulted<AgentSnapshotStatus>;
  /** Null until it is complete. */
  hetzner_id: string | null;
  /** What Hetzner bills. */
  size_gb: number | null;
  /** The server, the tailnet device and the keys (sealed for the agent) whose identity is on its disk. */
  server_id: string | null;
  tailnet_node_id: string | null;
  secrets: Buffer | null;
  /** Business time at which its making began: what is on it is not older. */
  made_at: DefaultTimestamp;
  /** Business time; null: the schedule or a person decides. */
  delete_after: Timestamp | null;
  /** Why it could not be made, or is not removed yet. */
  error: string | null;
  /** Failed tries to remove it. */
  tries: Defaulted<number>;
  run_after: DefaultTimestamp;
  /** The key that the labels at Hetzner are sealed with, as far as it is known. */
  sealed_with: string | null;
  /** After a failure: when that is tried again. */
  seal_retry_at: Timestamp | null;
  ended_at: Timestamp | null;
}

/** A server that is made of a snapshot, to show that it boots. At most one runs. */
export interface SnapshotDrillTable {
  /** The server's name too. */
  drill_id: string;
  agent_id: string;
  snapshot_id: string;
  cause: 'person' | 'schedule';
  status: Defaulted<'running' | 'succeeded' | 'failed' | 'cancelled'>;
  server_id: string | null;
  /** The firewall that closes it. */
  firewall_id: number | null;
  /** When the server was seen running. */
  ran_at: Timestamp | null;
  /** What it has shown; from then on the server is removed. */
  passed: boolean | null;
  /** It was ended before it had shown anything. */
  cancelled: Defaulted<boolean>;
  error: string | null;
  started_at: DefaultTimestamp;
  finished_at: Timestamp | null;
  /** When its server, which could not be removed before it ended, is looked for next; null: it is gone. */
  removal_due_at: Timestamp | null;
}
