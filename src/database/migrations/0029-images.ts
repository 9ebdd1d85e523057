import { type Kysely, sql } from 'kysely';

/** Images of configured disks, and the builds that make them. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create table images (
     image_id text primary key check (image_id ~ '^image-[0-9a-f]{16}-[0-9a-f]{8}$'),
     project text not null check (project ~ '^[a-z0-9](-?[a-z0-9])*$'),
     location text not null check (location ~ '^[a-z0-9-]{1,20}$'),
     plan text not null check (length(plan) between 1 and 40),
     -- The playbook's version that its disk is configured with.
     version text not null check (length(version) between 1 and 300),
     architecture text not null check (architecture in ('x86', 'arm')),
     status text not null default 'building'
       check (status in ('building', 'available', 'bad', 'removing', 'removed')),
     -- The work on it: building or removing. As an operation's, each attempt is numbered and leased.
     work_id uuid not null default gen_random_uuid(),
     attempt int not null default 0 check (attempt >= 0),
     tries int not null default 0 check (tries >= 0),
     worker_id text,
     lease_until timestamptz,
     run_after timestamptz not null default now(),
     step text check (length(step) <= 200),
     error text check (length(error) <= 8000),
     failure_code text,
     -- Those of the build's server.
     inputs jsonb,
     secrets bytea,
     snapshot_id text unique check (snapshot_id ~ '^[0-9]{1,19}$'),
     size_gb float8 check (size_gb >= 0),
     created_at timestamptz not null default now(),
     available_at timestamptz,
     ended_at timestamptz,
     updated_at timestamptz not null default now(),
     check ((worker_id is null) = (lease_until is null)),
     check (status not in ('available', 'bad') or (snapshot_id is not null and secrets is null)),
     check (status <> 'bad' or error is not null),
     check (status <> 'removed' or secrets is null))`,
  // A second request for the same image is the same build.
  `create unique index images_building on images (project, version, architecture) where status = 'building'`,
  `create index images_available on images (project, version, architecture, available_at) where status = 'available'`,
  `create index images_at_work on images (run_after) where status in ('building', 'removing')`,
];
