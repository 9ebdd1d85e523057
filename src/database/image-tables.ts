import type { Defaulted, DefaultTimestamp, NullableJson, Timestamp } from './column-types.ts';

/** In lifecycle order. `bad`: no server is made from it any more; `removing`: also after a failed build. */
export const IMAGE_STATUSES = ['building', 'available', 'bad', 'removing', 'removed'] as const;
export type ImageStatus = (typeof IMAGE_STATUSES)[number];
export const ARCHITECTURES = ['x86', 'arm'] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

export interface ImageTables {
  images: ImageTable;
}

/** A snapshot of a configured disk without an identity, from which new servers are made, and its build. */
export interface ImageTable {
  image_id: string;
  project: string;
  location: string;
  plan: string;
  /** The playbook's version that its disk is configured with. */
  version: string;
  architecture: Architecture;
  status: Defaulted<ImageStatus>;
  /** The building or the removing of it, whose attempts are numbered and leased as an operation's are. */
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
  /** Those of the build's server, while there may be one. */
  inputs: NullableJson<Record<string, unknown>> | null;
  secrets: Buffer | null;
  /** Hetzner's id of it. */
  snapshot_id: string | null;
  /** What Hetzner bills. */
  size_gb: number | null;
  /** The first owner, an agent or a slot, whose server of it did not join. */
  doubted_by: string | null;
  created_at: DefaultTimestamp;
  available_at: Timestamp | null;
  ended_at: Timestamp | null;
  updated_at: DefaultTimestamp;
}
