import type { Defaulted, DefaultTimestamp, Timestamp } from './column-types.ts';

/** The hostnames under which servers join the tailnet, past and present. */
export interface TailnetJoinNameTable {
  name: string;
  agent_id: string;
  key_generation: number;
  /** The slot that an agent has it from. */
  slot_id: string | null;
  created_at: DefaultTimestamp;
}

/** The names of servers that are not named after their agents, past and present. */
export interface ServerNameTable {
  name: string;
  owner_id: string;
  /** The slot that an agent has it from. */
  slot_id: string | null;
  created_at: DefaultTimestamp;
}

export interface FoundationTable {
  project: string;
  /** Null until the firewall has been created. */
  firewall_id: string | null;
  inputs_hash: string | null;
  /** The attempt that holds the foundation's stack, for as long as the attempt is active. */
  holder_operation: string | null;
  holder_attempt: number | null;
  updated_at: DefaultTimestamp;
}

export interface IdempotencyKeyTable {
  key: string;
  request_hash: string;
  operation_id: string;
  created_at: DefaultTimestamp;
}

/** A workflow run at GitHub that is no longer needed and must be cancelled. */
export interface RunCancellationTable {
  workflow_run_id: string;
  operation_id: string;
  asked_at: DefaultTimestamp;
  try_at: DefaultTimestamp;
  tries: Defaulted<number>;
  done_at: Timestamp | null;
}
