import type { SandboxSchema } from '../database.ts';

/** Tables of the sandbox's tailnet. Secrets are kept as SHA-256 only: like Tailscale, it cannot show one again. */
export const tailscaleSchema: SandboxSchema = {
  area: 'tailscale',
  version: 3,
  statements: [
    `CREATE TABLE IF NOT EXISTS tailscale_keys (
      id text PRIMARY KEY,
      number bigint GENERATED ALWAYS AS IDENTITY,
      secret_hash bytea NOT NULL UNIQUE,
      description text NOT NULL,
      reusable boolean NOT NULL,
      ephemeral boolean NOT NULL,
      preauthorized boolean NOT NULL,
      tags text[] NOT NULL,
      expiry_seconds int NOT NULL,
      user_id text NOT NULL,
      created_at timestamptz NOT NULL,
      expires_at timestamptz NOT NULL,
      used_at timestamptz,
      revoked_at timestamptz
    )`,
    'ALTER TABLE tailscale_keys ADD COLUMN IF NOT EXISTS control_number text',
    // Numbers of devices are never given twice, so no address of a deleted device comes back for another one.
    'CREATE SEQUENCE IF NOT EXISTS tailscale_device_number',
    `CREATE TABLE IF NOT EXISTS tailscale_devices (
      id text PRIMARY KEY,
      node_id text NOT NULL UNIQUE,
      number bigint NOT NULL UNIQUE,
      hostname text NOT NULL,
      label text NOT NULL UNIQUE,
      ipv4 text NOT NULL UNIQUE,
      ipv6 text NOT NULL UNIQUE,
      tags text[] NOT NULL,
      registered_by text NOT NULL,
      authorized boolean NOT NULL,
      ephemeral boolean NOT NULL,
      key_expiry_disabled boolean NOT NULL,
      machine_key text NOT NULL,
      node_key text NOT NULL,
      machine_id text NOT NULL,
      key_id text NOT NULL REFERENCES tailscale_keys,
      created_at timestamptz NOT NULL,
      expires_at timestamptz NOT NULL,
      UNIQUE (machine_id, key_id)
    )`,
    // Whether its label was given by an administrator, and no longer follows the hostname.
    'ALTER TABLE tailscale_devices ADD COLUMN IF NOT EXISTS named boolean NOT NULL DEFAULT false',
    `CREATE TABLE IF NOT EXISTS tailscale_access_tokens (
      secret_hash bytea PRIMARY KEY,
      expires_at timestamptz NOT NULL
    )`,
    'CREATE TABLE IF NOT EXISTS tailscale_policy (only_row boolean PRIMARY KEY CHECK (only_row), text text NOT NULL)',
  ],
};
