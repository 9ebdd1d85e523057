import type { ServerNameTable } from './bookkeeping-tables.ts';
import type { Defaulted, DefaultTimestamp, NullableJson, Numeric, Timestamp } from './column-types.ts';

/** In lifecycle order. `claimed`: it is an order's; `adopted`: everything of it is the agent's. */
const SLOT_STATUSES = ['making', 'ready', 'claimed', 'adopted', 'removing', 'removed'] as const;
export type SlotStatus = (typeof SLOT_STATUSES)[number];

export interface SlotTables {
  pools: PoolTable;
  pool_demands: PoolDemandTable;
  slots: SlotTable;
  pool_misses: PoolMissTable;
  server_names: ServerNameTable;
}

/** What a worker wants to be kept: the newest of its live demands counts. */
export interface PoolDemandTable {
  worker_id: string;
  project: string;
  location: string;
  plan: string;
  size: number;
  fingerprint: string;
  /** What all slots together may cost by its configuration; null: no ceiling. */
  euros_per_hour: Numeric | null;
  /** When a worker first wanted slots with this fingerprint. */
  since: DefaultTimestamp;
  /** When this worker last said so. */
  seen_at: DefaultTimestamp;
}

/** How many slots there should be now, by the demands of all workers. */
export interface PoolTable {
  project: string;
  location: string;
  plan: string;
  size: number;
  /** What new slots are made by and from. */
  fingerprint: string;
  seen_at: DefaultTimestamp;
  /** Why slots that are missing are not made now, and since when. */
  error: string | null;
  error_since: Timestamp | null;
  /** No slot is made before then. */
  paused_until: Timestamp | null;
}

/** A server that waits for its customer, or did. */
export interface SlotTable {
  slot_id: string;
  project: string;
  location: string;
  plan: string;
  fingerprint: string;
  status: Defaulted<SlotStatus>;
  /** The making or the removing of it, whose attempts are numbered and leased as an operation's are. */
  work_id: Defaulted<string>;
  attempt: Defaulted<number>;
  /** Failed and lost tries of this work. */
  tries: Defaulted<number>;
  worker_id: string | null;
  lease_until: Timestamp | null;
  run_after: DefaultTimestamp;
  step: string | null;
  error: string | null;
  failure_code: string | null;
  /** When it could not be made or handed over for good, or fell silent soon after it was ready. */
  failed_at: Timestamp | null;
  inputs: NullableJson<Record<string, unknown>> | null;
  /** Its key pairs, sealed for the slot's id (src/agents/secrets.ts). */
  secrets: Buffer | null;
  server_id: string | null;
  server_name: string | null;
  ipv4: string | null;
  ipv6: string | null;
  tailnet_ip: string | null;
  tailnet_name: string | null;
  tailnet_node_id: string | null;
  /** When it last answered healthy, and when it is asked next. */
  checked_at: Timestamp | null;
  check_at: Timestamp | null;
  agent_id: string | null;
  created_at: DefaultTimestamp;
  ready_at: Timestamp | null;
  claimed_at: Timestamp | null;
  /** The provision that made its agent run, and when. */
  served_by: string | null;
  served_at: Timestamp | null;
  /** When it became `removing`. */
  removing_since: Timestamp | null;
  ended_at: Timestamp | null;
  updated_at: DefaultTimestamp;
}

/** An order that a pool was there for, and that found no slot. */
export interface PoolMissTable {
  agent_id: string;
  /** That of the pool; of several, that of the one in the agent's project. */
  project: Defaulted<string>;
  location: string;
  plan: string;
  at: DefaultTimestamp;
}
