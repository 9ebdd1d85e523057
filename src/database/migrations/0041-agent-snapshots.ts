import { type Kysely, sql } from 'kysely';

/** Snapshots of agents' disks that are kept beside their servers. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // The snapshot's id is that of the operation that makes it, and its label at Hetzner: an attempt after a
  // kill finds by it what was begun. Without a reference, because a rebuilt installation has no operations.
  `create table agent_snapshots (
     snapshot_id uuid primary key,
     agent_id text not null references agents (agent_id),
     why text not null check (why in ('scheduled', 'by-hand', 'before-destroy')),
     status text not null default 'making'
       check (status in ('making', 'available', 'removing', 'removed', 'lost')),
     hetzner_id text unique check (hetzner_id ~ '^[0-9]{1,19}$'),
     size_gb float8 check (size_gb > 0),
     -- Whose identity is on its disk: the server, the device, and the agent's keys as they were then, sealed.
     server_id text check (server_id ~ '^[0-9]{1,19}$'),
     tailnet_node_id text check (length(tailnet_node_id) <= 200),
     secrets bytea,
     made_at timestamptz not null default business_now(),
     delete_after timestamptz,
     error text check (length(error) <= 8000),
     tries int not null default 0 check (tries >= 0),
     run_after timestamptz not null default now(),
     ended_at timestamptz,
     check (status <> 'available' or (hetzner_id is not null and size_gb is not null)),
     check ((status in ('removed', 'lost')) = (ended_at is not null)),
     check (ended_at is null or secrets is null))`,
  `create unique index agent_snapshots_making on agent_snapshots (agent_id) where status = 'making'`,
  `create index agent_snapshots_of_agent on agent_snapshots (agent_id, made_at)`,
  `create index agent_snapshots_kept on agent_snapshots (status) where status in ('making', 'available', 'removing')`,
  // A server that is made of a snapshot to show that it boots. The row is there before the server, whose name
  // follows from its id, and until it is gone.
  `create table snapshot_drills (
     drill_id text primary key check (drill_id ~ '^drill-[0-9a-f]{16}$'),
     agent_id text not null references agents (agent_id),
     snapshot_id uuid not null references agent_snapshots (snapshot_id),
     cause text not null check (cause in ('person', 'schedule')),
     status text not null default 'running' check (status in ('running', 'succeeded', 'failed')),
     server_id text check (server_id ~ '^[0-9]{1,19}$'),
     firewall_id bigint,
     -- When it was seen running, and what it has shown; then the server is removed.
     ran_at timestamptz,
     passed boolean,
     error text check (length(error) <= 8000),
     started_at timestamptz not null default now(),
     finished_at timestamptz,
     check ((status = 'running') = (finished_at is null)),
     check (status <> 'succeeded' or passed),
     check (status <> 'failed' or error is not null))`,
  `create unique index snapshot_drills_running on snapshot_drills ((true)) where status = 'running'`,
  `create index snapshot_drills_newest on snapshot_drills (started_at)`,
];
