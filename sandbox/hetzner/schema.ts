import type { SandboxSchema } from '../database.ts';

/** The tables of the Hetzner project that the sandbox plays; to be handed to `openSandboxDatabase`. */
export const hetznerSchema: SandboxSchema = {
  area: 'hetzner',
  version: 3,
  statements: [
    // One sequence for all kinds: an id of one kind never happens to be a valid id of another.
    'CREATE SEQUENCE IF NOT EXISTS hetzner_id AS integer START 4700001',
    `CREATE TABLE IF NOT EXISTS hetzner_ssh_keys (
      id int PRIMARY KEY DEFAULT nextval('hetzner_id'),
      name text NOT NULL CONSTRAINT hetzner_ssh_keys_name UNIQUE,
      fingerprint text NOT NULL CONSTRAINT hetzner_ssh_keys_fingerprint UNIQUE,
      public_key text NOT NULL,
      labels jsonb NOT NULL,
      created_at timestamptz NOT NULL
    )`,
    `CREATE TABLE IF NOT EXISTS hetzner_firewalls (
      id int PRIMARY KEY DEFAULT nextval('hetzner_id'),
      name text NOT NULL CONSTRAINT hetzner_firewalls_name UNIQUE,
      labels jsonb NOT NULL,
      rules jsonb NOT NULL,
      created_at timestamptz NOT NULL
    )`,
    // What a server does over time is in phases: [{status, fromMs}], so a restart of the sandbox loses nothing.
    // generation counts the installations of its disk; user_data goes once a simulated machine has booted with it.
    // boots counts how often it was asked to start, stops_softly says how it is to end the start before: for real machines.
    `CREATE TABLE IF NOT EXISTS hetzner_servers (
      id int PRIMARY KEY DEFAULT nextval('hetzner_id'),
      name text NOT NULL,
      labels jsonb NOT NULL,
      server_type_id int NOT NULL,
      image_id int NOT NULL,
      location_id int NOT NULL,
      primary_disk_gb int NOT NULL,
      phases jsonb NOT NULL,
      locked_until timestamptz NOT NULL,
      protected boolean NOT NULL DEFAULT false,
      rescue_enabled boolean NOT NULL DEFAULT false,
      backup_window text,
      user_data text,
      boot_pending boolean NOT NULL DEFAULT true,
      generation int NOT NULL DEFAULT 1,
      created_at timestamptz NOT NULL,
      deleted_at timestamptz
    )`,
    // Version 2.
    'ALTER TABLE hetzner_servers ADD COLUMN IF NOT EXISTS boots int NOT NULL DEFAULT 1',
    'ALTER TABLE hetzner_servers ADD COLUMN IF NOT EXISTS stops_softly boolean NOT NULL DEFAULT false',
    `ALTER TABLE hetzner_servers ADD COLUMN IF NOT EXISTS ssh_public_keys jsonb NOT NULL DEFAULT '[]'`,
    `CREATE UNIQUE INDEX IF NOT EXISTS hetzner_servers_name ON hetzner_servers (name) WHERE deleted_at IS NULL`,
    `CREATE TABLE IF NOT EXISTS hetzner_primary_ips (
      id int PRIMARY KEY DEFAULT nextval('hetzner_id'),
      server_id int NOT NULL REFERENCES hetzner_servers,
      type text NOT NULL,
      ip text NOT NULL,
      dns_ptr jsonb NOT NULL,
      created_at timestamptz NOT NULL,
      UNIQUE (server_id, type)
    )`,
    `CREATE TABLE IF NOT EXISTS hetzner_firewall_targets (
      firewall_id int NOT NULL REFERENCES hetzner_firewalls,
      server_id int REFERENCES hetzner_servers,
      selector text,
      CHECK (num_nonnulls(server_id, selector) = 1),
      CONSTRAINT hetzner_firewall_targets_once UNIQUE NULLS NOT DISTINCT (firewall_id, server_id, selector)
    )`,
    'CREATE INDEX IF NOT EXISTS hetzner_firewall_targets_server ON hetzner_firewall_targets (server_id)',
    `CREATE TABLE IF NOT EXISTS hetzner_actions (
      id int PRIMARY KEY DEFAULT nextval('hetzner_id'),
      command text NOT NULL,
      started_at timestamptz NOT NULL,
      finishes_at timestamptz NOT NULL,
      error jsonb,
      resources jsonb NOT NULL
    )`,
    `CREATE INDEX IF NOT EXISTS hetzner_actions_resources ON hetzner_actions USING gin (resources jsonb_path_ops)`,
    // Version 3. Rows of deleted images stay: servers that were made from them still show them.
    `CREATE TABLE IF NOT EXISTS hetzner_images (
      id int PRIMARY KEY DEFAULT nextval('hetzner_id'),
      type text NOT NULL CHECK (type IN ('snapshot', 'backup')),
      description text NOT NULL,
      labels jsonb NOT NULL,
      server_id int NOT NULL REFERENCES hetzner_servers,
      server_name text NOT NULL,
      disk_gb int NOT NULL,
      os_flavor text NOT NULL,
      os_version text,
      architecture text NOT NULL,
      protected boolean NOT NULL DEFAULT false,
      failed boolean NOT NULL,
      created_at timestamptz NOT NULL,
      available_at timestamptz NOT NULL,
      deleted_at timestamptz
    )`,
    'CREATE INDEX IF NOT EXISTS hetzner_images_server ON hetzner_images (server_id)',
    `CREATE TABLE IF NOT EXISTS answer_violations (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      at timestamptz NOT NULL DEFAULT now(),
      method text NOT NULL,
      path text NOT NULL,
      status int NOT NULL,
      problem text NOT NULL
    )`,
    `CREATE TABLE IF NOT EXISTS answer_checks (only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row), checked bigint NOT NULL)`,
  ],
};
