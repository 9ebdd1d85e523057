import type { SandboxSchema } from '../schema.ts';

/** The tables of the simulated Hetzner projects, for `openSandboxDatabase`. */
export const hetznerSchema: SandboxSchema = {
  area: 'hetzner',
  version: 5,
  statements: [
    // One sequence for all kinds, so that an id of one kind is never valid for another.
    'create sequence if not exists hetzner_id as integer start 4700001',
    `create table if not exists hetzner_ssh_keys (
      id int primary key default nextval('hetzner_id'),
      name text not null constraint hetzner_ssh_keys_name unique,
      fingerprint text not null constraint hetzner_ssh_keys_fingerprint unique,
      public_key text not null,
      labels jsonb not null,
      created_at timestamptz not null
    )`,
    `create table if not exists hetzner_firewalls (
      id int primary key default nextval('hetzner_id'),
      name text not null constraint hetzner_firewalls_name unique,
      labels jsonb not null,
      rules jsonb not null,
      created_at timestamptz not null
    )`,
    `create table if not exists hetzner_servers (
      id int primary key default nextval('hetzner_id'),
      name text not null,
      labels jsonb not null,
      server_type_id int not null,
      image_id int not null,
      location_id int not null,
      primary_disk_gb int not null,
      phases jsonb not null,
      locked_until timestamptz not null,
      protected boolean not null default false,
      rescue_enabled boolean not null default false,
      backup_window text,
      user_data text,
      boot_pending boolean not null default true,
      generation int not null default 1,
      created_at timestamptz not null,
      deleted_at timestamptz
    )`,
    // Version 2.
    'alter table hetzner_servers add column if not exists boots int not null default 1',
    'alter table hetzner_servers add column if not exists stops_softly boolean not null default false',
    `alter table hetzner_servers add column if not exists ssh_public_keys jsonb not null default '[]'`,
    `create unique index if not exists hetzner_servers_name on hetzner_servers (name) where deleted_at is null`,
    `create table if not exists hetzner_primary_ips (
      id int primary key default nextval('hetzner_id'),
      server_id int not null references hetzner_servers,
      type text not null,
      ip text not null,
      dns_ptr jsonb not null,
      created_at timestamptz not null,
      unique (server_id, type)
    )`,
    `create table if not exists hetzner_firewall_targets (
      firewall_id int not null references hetzner_firewalls,
      server_id int references hetzner_servers,
      selector text,
      check (num_nonnulls(server_id, selector) = 1),
      constraint hetzner_firewall_targets_once unique nulls not distinct (firewall_id, server_id, selector)
    )`,
    'create index if not exists hetzner_firewall_targets_server on hetzner_firewall_targets (server_id)',
    `create table if not exists hetzner_actions (
      id int primary key default nextval('hetzner_id'),
      command text not null,
      started_at timestamptz not null,
      finishes_at timestamptz not null,
      error jsonb,
      resources jsonb not null
    )`,
    `create index if not exists hetzner_actions_resources on hetzner_actions using gin (resources jsonb_path_ops)`,
    // Version 3.
    `create table if not exists hetzner_images (
      id int primary key default nextval('hetzner_id'),
      type text not null check (type in ('snapshot', 'backup')),
      description text not null,
      labels jsonb not null,
      server_id int not null references hetzner_servers,
      server_name text not null,
      disk_gb int not null,
      os_flavor text not null,
      os_version text,
      architecture text not null,
      protected boolean not null default false,
      failed boolean not null,
      created_at timestamptz not null,
      available_at timestamptz not null,
      deleted_at timestamptz
    )`,
    'create index if not exists hetzner_images_server on hetzner_images (server_id)',
    // Version 4.
    `alter table hetzner_images add column if not exists machine_disk text
      check (machine_disk in ('wanted', 'copied'))`,
    'alter table hetzner_images add column if not exists size_gb double precision',
    `create table if not exists answer_violations (
      id bigint generated always as identity primary key,
      at timestamptz not null default now(),
      method text not null,
      path text not null,
      status int not null,
      problem text not null
    )`,
    // Version 5. What an earlier version made is the own token's project's.
    ...['ssh_keys', 'firewalls', 'servers', 'actions', 'images'].map(
      (table) =>
        `alter table hetzner_${table} add column if not exists project text not null default 'default'`,
    ),
    'alter table hetzner_ssh_keys drop constraint if exists hetzner_ssh_keys_name',
    'alter table hetzner_ssh_keys drop constraint if exists hetzner_ssh_keys_fingerprint',
    'alter table hetzner_firewalls drop constraint if exists hetzner_firewalls_name',
    'drop index if exists hetzner_servers_name',
    'create unique index if not exists hetzner_ssh_keys_name on hetzner_ssh_keys (project, name)',
    'create unique index if not exists hetzner_ssh_keys_fingerprint on hetzner_ssh_keys (project, fingerprint)',
    'create unique index if not exists hetzner_firewalls_name on hetzner_firewalls (project, name)',
    'create unique index if not exists hetzner_servers_name on hetzner_servers (project, name) where deleted_at is null',
    `create table if not exists answer_checks (only_row boolean primary key default true check (only_row), checked bigint not null)`,
  ],
};
