import type { ColumnType, Generated, GeneratedAlways } from 'kysely';
import type { Defaulted, Json, NullableJson } from '../schema.ts';
import type { OsFlavor } from './catalogue/images.ts';
import type { Architecture } from './catalogue/server-types.ts';
import type { FirewallRule } from './firewalls/rules.ts';
import type { Labels } from './labels.ts';
import type { Phase } from './servers/phases.ts';

export interface HetznerTables {
  hetzner_ssh_keys: SshKeyTable;
  hetzner_firewalls: FirewallTable;
  hetzner_servers: ServerTable;
  hetzner_primary_ips: PrimaryIpTable;
  hetzner_firewall_targets: FirewallTargetTable;
  hetzner_actions: ActionTable;
  hetzner_images: ImageTable;
  answer_violations: AnswerViolationTable;
  answer_checks: AnswerCheckTable;
}

export interface SshKeyTable {
  id: Generated<number>;
  project: Generated<string>;
  name: string;
  fingerprint: string;
  public_key: string;
  labels: Json<Labels>;
  created_at: Date;
}

export interface FirewallTable {
  id: Generated<number>;
  project: Generated<string>;
  name: string;
  labels: Json<Labels>;
  rules: Json<FirewallRule[]>;
  created_at: Date;
}

export interface ServerTable {
  id: Generated<number>;
  project: Generated<string>;
  name: string;
  labels: Json<Labels>;
  server_type_id: number;
  image_id: number;
  location_id: number;
  primary_disk_gb: number;
  /** Its statuses over time; stored, so that a restart of the sandbox loses nothing. */
  phases: Json<Phase[]>;
  locked_until: Date;
  protected: Defaulted<boolean>;
  rescue_enabled: Defaulted<boolean>;
  backup_window: string | null;
  /** Deleted once a simulated machine has booted with it. */
  user_data: string | null;
  boot_pending: Defaulted<boolean>;
  /** Counts the installations of its disk. */
  generation: Defaulted<number>;
  created_at: Date;
  deleted_at: Date | null;
  /** For real machines: counts the requests to start it. */
  boots: Defaulted<number>;
  /** For real machines: how its current start ends, by a shutdown or by a power cut. */
  stops_softly: Defaulted<boolean>;
  ssh_public_keys: ColumnType<string[], string | undefined, string>;
}

export interface DnsPtrEntry {
  ip: string;
  dns_ptr: string;
}

export interface PrimaryIpTable {
  id: Generated<number>;
  server_id: number;
  type: 'ipv4' | 'ipv6';
  ip: string;
  dns_ptr: Json<DnsPtrEntry[]>;
  created_at: Date;
}

/** Either `server_id` or `selector`. */
export interface FirewallTargetTable {
  firewall_id: number;
  server_id: number | null;
  selector: string | null;
}

export interface ActionError {
  code: string;
  message: string;
}

export type ResourceType = 'server' | 'firewall' | 'image' | 'primary_ip';

export interface ActionResource {
  id: number;
  type: ResourceType;
}

export interface ActionTable {
  id: Generated<number>;
  project: Generated<string>;
  command: string;
  started_at: Date;
  finishes_at: Date;
  error: NullableJson<ActionError>;
  resources: Json<ActionResource[]>;
}

/** An image of a server's disk. Deleted ones stay, because servers created from them still show them. */
export interface ImageTable {
  id: Generated<number>;
  project: Generated<string>;
  type: 'snapshot' | 'backup';
  description: string;
  labels: Json<Labels>;
  server_id: number;
  server_name: string;
  disk_gb: number;
  os_flavor: OsFlavor;
  os_version: string | null;
  architecture: Architecture;
  protected: Defaulted<boolean>;
  /** Its creation ended in an error. */
  failed: boolean;
  created_at: Date;
  available_at: Date;
  deleted_at: Date | null;
  /** For real machines: whether the disk's copy is still to be made; null for simulated ones. */
  machine_disk: 'wanted' | 'copied' | null;
  /** For real machines: the size of the copy. */
  size_gb: number | null;
}

export interface AnswerViolationTable {
  id: GeneratedAlways<string>;
  at: Generated<Date>;
  method: string;
  path: string;
  status: number;
  problem: string;
}

export interface AnswerCheckTable {
  only_row: Generated<boolean>;
  /** A bigint, which the driver returns as text. */
  checked: Defaulted<string | number>;
}
