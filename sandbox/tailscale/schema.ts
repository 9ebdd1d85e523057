import type { ColumnType, GeneratedAlways } from 'kysely';
import type { Defaulted, NullableJson, SandboxSchema } from '../schema.ts';

export interface TailscaleTables {
  tailscale_keys: KeyTable;
  tailscale_devices: DeviceTable;
  tailscale_access_tokens: AccessTokenTable;
  tailscale_policy: PolicyTable;
}

export interface KeyTable {
  id: string;
  /** A bigint, which the driver returns as text. */
  number: GeneratedAlways<string>;
  secret_hash: Buffer;
  description: string;
  reusable: boolean;
  ephemeral: boolean;
  preauthorized: boolean;
  tags: string[];
  expiry_seconds: number;
  user_id: string;
  created_at: Date;
  expires_at: Date;
  used_at: Date | null;
  revoked_at: Date | null;
  /** The control server's own id of the key; null in a simulated tailnet. */
  control_number: string | null;
}

export interface DeviceTable {
  id: string;
  node_id: string;
  /** A bigint, which the driver returns as text. Never reused, and so neither are addresses. */
  number: ColumnType<string, string, never>;
  hostname: string;
  label: string;
  ipv4: string;
  ipv6: string;
  tags: string[];
  registered_by: string;
  authorized: boolean;
  ephemeral: boolean;
  key_expiry_disabled: boolean;
  machine_key: string;
  node_key: string;
  machine_id: string;
  key_id: string;
  created_at: Date;
  expires_at: Date;
  /** An administrator assigned the label, so it no longer follows the hostname. */
  named: Defaulted<boolean>;
}

export interface AccessTokenTable {
  secret_hash: Buffer;
  expires_at: Date;
  /** Null: issued by a version that knew one client only. */
  grants: NullableJson<{ scopes: string[]; tags: string[] }>;
}

export interface PolicyTable {
  only_row: boolean;
  text: string;
}

/**
 * Tables of the sandbox's tailnet. Only SHA-256 hashes of secrets are stored: as at Tailscale, none can be
 * shown again.
 */
export const tailscaleSchema: SandboxSchema = {
  area: 'tailscale',
  version: 3,
  statements: [
    `create table if not exists tailscale_keys (
      id text primary key,
      number bigint generated always as identity,
      secret_hash bytea not null unique,
      description text not null,
      reusable boolean not null,
      ephemeral boolean not null,
      preauthorized boolean not null,
      tags text[] not null,
      expiry_seconds int not null,
      user_id text not null,
      created_at timestamptz not null,
      expires_at timestamptz not null,
      used_at timestamptz,
      revoked_at timestamptz
    )`,
    'alter table tailscale_keys add column if not exists control_number text',
    'create sequence if not exists tailscale_device_number',
    `create table if not exists tailscale_devices (
      id text primary key,
      node_id text not null unique,
      number bigint not null unique,
      hostname text not null,
      label text not null unique,
      ipv4 text not null unique,
      ipv6 text not null unique,
      tags text[] not null,
      registered_by text not null,
      authorized boolean not null,
      ephemeral boolean not null,
      key_expiry_disabled boolean not null,
      machine_key text not null,
      node_key text not null,
      machine_id text not null,
      key_id text not null references tailscale_keys,
      created_at timestamptz not null,
      expires_at timestamptz not null,
      unique (machine_id, key_id)
    )`,
    'alter table tailscale_devices add column if not exists named boolean not null default false',
    `create table if not exists tailscale_access_tokens (
      secret_hash bytea primary key,
      expires_at timestamptz not null
    )`,
    'alter table tailscale_access_tokens add column if not exists grants jsonb',
    'create table if not exists tailscale_policy (only_row boolean primary key check (only_row), text text not null)',
  ],
};
