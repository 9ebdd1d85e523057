import { type Kysely, sql } from 'kysely';

/** Servers that wait for their customers. A slot is nobody's until an order claims it. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const NAME = (column: string) =>
  `(${column} ~ '^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$' and length(${column}) <= 253)`;

const STATEMENTS = [
  // How many slots there should be now, as the workers read it from their configuration.
  `create table pools (
     project text not null check (project ~ '^[a-z0-9](-?[a-z0-9])*$'),
     location text not null check (location ~ '^[a-z0-9-]{1,20}$'),
     plan text not null check (length(plan) between 1 and 40),
     size int not null check (size between 0 and 1000),
     -- What a slot must have been made by and from to be given to anybody.
     fingerprint text not null check (length(fingerprint) between 1 and 100),
     -- When a worker last kept it. Nothing is claimed from a pool that no worker keeps.
     seen_at timestamptz not null default now(),
     -- Why no slot is made now, and until when; null: nothing is in the way.
     paused_until timestamptz,
     error text check (length(error) <= 8000),
     primary key (project, location, plan),
     check (paused_until is null or error is not null))`,

  `create table slots (
     slot_id text primary key check (slot_id ~ '^slot-[0-9a-f]{24}$'),
     project text not null,
     location text not null,
     plan text not null,
     fingerprint text not null check (length(fingerprint) between 1 and 100),
     status text not null default 'making'
       check (status in ('making', 'ready', 'claimed', 'adopted', 'removing', 'removed')),
     -- The work on it: making or removing. As an operation's, each attempt is numbered and leased.
     work_id uuid not null default gen_random_uuid(),
     attempt int not null default 0 check (attempt >= 0),
     tries int not null default 0 check (tries >= 0),
     worker_id text,
     lease_until timestamptz,
     run_after timestamptz not null default now(),
     step text check (length(step) <= 200),
     error text check (length(error) <= 8000),
     failure_code text,
     inputs jsonb,
     secrets bytea,
     server_id text unique check (server_id ~ '^[0-9]{1,19}$'),
     server_name text check ${NAME('server_name')},
     ipv4 text,
     ipv6 text,
     tailnet_ip text unique,
     tailnet_name text check ${NAME('tailnet_name')},
     tailnet_node_id text unique check (tailnet_node_id ~ '^[A-Za-z0-9]{1,64}$'),
     -- The last healthy answer, and when it is asked next.
     checked_at timestamptz,
     check_at timestamptz,
     agent_id text unique references agents,
     created_at timestamptz not null default now(),
     ready_at timestamptz,
     claimed_at timestamptz,
     -- The provision that made its agent run, and when.
     served_by uuid references operations,
     served_at timestamptz,
     ended_at timestamptz,
     updated_at timestamptz not null default now(),
     check ((worker_id is null) = (lease_until is null)),
     check ((status in ('claimed', 'adopted')) = (agent_id is not null)),
     check (status not in ('ready', 'claimed') or (server_id is not null and tailnet_ip is not null
       and inputs is not null and secrets is not null)),
     check (status not in ('adopted', 'removed') or (server_id is null and secrets is null)))`,
  `create index slots_ready on slots (location, plan, ready_at) where status = 'ready'`,
  `create index slots_at_work on slots (run_after) where status in ('making', 'removing')`,
  `create index slots_served on slots (served_by) where served_by is not null`,

  // Orders that a pool was there for, and that found no slot.
  `create table pool_misses (
     agent_id text primary key references agents,
     location text not null,
     plan text not null,
     at timestamptz not null default now())`,

  // A slot's server joins the tailnet before it has an agent, and its attempts may create a foundation.
  `alter table tailnet_join_names drop constraint tailnet_join_names_agent_id_fkey`,
  `alter table foundations drop constraint foundations_holder_operation_fkey`,
];
