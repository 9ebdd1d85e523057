import { type Kysely, sql } from 'kysely';

/**
 * The first schema. Constraints enforce what the code promises: one order per checkout session, one order per
 * agent, one active operation per agent, one unfinished provision per agent, outputs for every running agent,
 * and well-formed ids and names.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create type job_status as enum ('queued', 'provisioning', 'running', 'failed')`,

  `create table installation (
     singleton boolean primary key default true check (singleton),
     mode text not null check (mode in ('sandbox', 'live')),
     accounts jsonb not null,
     data_dir text,
     created_at timestamptz not null default now())`,

  `create table stripe_events (
     id text primary key check (length(id) between 1 and 255),
     type text not null,
     livemode boolean not null,
     object_id text,
     payload jsonb not null,
     outcome text not null check (outcome in ('acted', 'ignored', 'duplicate', 'attention')),
     reason text,
     created_at timestamptz not null,
     received_at timestamptz not null default now(),
     check (outcome <> 'attention' or reason is not null))`,
  `create index stripe_events_received_at on stripe_events (received_at)`,

  `create table agents (
     agent_id text primary key check (agent_id ~ '^[a-z0-9](-?[a-z0-9])*$' and length(agent_id) <= 40),
     user_id text not null check (length(user_id) between 1 and 200),
     project text not null default 'default' check (project ~ '^[a-z0-9](-?[a-z0-9])*$'),
     region text not null,
     location text not null,
     plan text not null,
     status text not null default 'requested' check (status in
       ('requested', 'provisioning', 'running', 'stopping', 'stopped', 'suspended', 'failed', 'destroying', 'destroyed')),
     step text check (step in ('queued', 'creating_server', 'joining_network', 'configuring', 'verifying', 'running')),
     health text not null default 'unknown' check (health in ('unknown', 'healthy', 'unhealthy')),
     stack_name text not null unique generated always as ('agent-' || agent_id) stored,
     server_id text unique,
     server_name text,
     ipv4 text,
     ipv6 text,
     tailnet_ip text,
     tailnet_name text,
     subscription_id text,
     error text,
     inputs jsonb,
     secrets bytea,
     created_at timestamptz not null default now(),
     updated_at timestamptz not null default now(),
     check (status not in ('running', 'stopping', 'stopped') or (server_id is not null and tailnet_ip is not null)),
     check (status <> 'destroyed' or (server_id is null and secrets is null)),
     check (status <> 'failed' or error is not null))`,
  `create index agents_created_at on agents (created_at desc, agent_id)`,
  `create index agents_subscription on agents (subscription_id) where subscription_id is not null`,

  `create table orders (
     session_id text primary key,
     stripe_event_id text not null references stripe_events,
     agent_id text unique references agents,
     subscription_id text,
     customer_id text,
     metadata jsonb not null,
     attention text,
     created_at timestamptz not null default now(),
     check ((agent_id is null) = (attention is not null)))`,
  `create index orders_created_at on orders (created_at desc, session_id)`,

  `create table operations (
     operation_id uuid primary key default gen_random_uuid(),
     sequence bigint generated always as identity unique,
     agent_id text not null references agents,
     kind text not null check (kind in
       ('provision', 'start', 'stop', 'restart', 'refresh', 'reconfigure', 'resize', 'rebuild', 'rollback', 'destroy')),
     status text not null default 'queued' check (status in ('queued', 'active', 'succeeded', 'failed', 'cancelled')),
     step text,
     attempt int not null default 0 check (attempt >= 0),
     retry_count int not null default 0,
     lost_count int not null default 0,
     max_retries int not null default 3,
     executor text not null check (executor in ('local', 'github-actions')),
     priority int not null default 0,
     stripe_event_id text unique references stripe_events,
     workflow_run_id text,
     error text,
     failed_step text,
     cancel_requested boolean not null default false,
     worker_id text,
     lease_until timestamptz,
     run_after timestamptz not null default now(),
     claimed_at timestamptz,
     last_heartbeat_at timestamptz,
     created_at timestamptz not null default now(),
     started_at timestamptz,
     finished_at timestamptz,
     updated_at timestamptz not null default now(),
     check (retry_count between 0 and max_retries),
     check ((status = 'active') = (worker_id is not null and lease_until is not null)),
     check ((status in ('succeeded', 'failed', 'cancelled')) = (finished_at is not null)),
     check (status <> 'failed' or error is not null))`,
  `create unique index operations_one_active_per_agent on operations (agent_id) where status = 'active'`,
  `create unique index operations_one_unfinished_provision on operations (agent_id)
     where kind = 'provision' and status in ('queued', 'active')`,
  `create unique index operations_one_destroy on operations (agent_id)
     where kind = 'destroy' and status in ('queued', 'active')`,
  `create index operations_by_agent on operations (agent_id, sequence desc)`,
  `create index operations_unfinished on operations (status, run_after) where status in ('queued', 'active')`,

  `create table operation_events (
     id bigint generated always as identity primary key,
     operation_id uuid not null references operations,
     sequence int not null,
     attempt int not null,
     type text not null check (type in ('status', 'step', 'log')),
     data jsonb not null,
     at timestamptz not null default now(),
     unique (operation_id, sequence))`,

  `create table audit_log (
     id bigint generated always as identity primary key,
     at timestamptz not null default now(),
     actor text not null,
     action text not null,
     agent_id text references agents,
     operation_id uuid references operations,
     details jsonb not null default '{}')`,
  `create index audit_log_by_agent on audit_log (agent_id, id)`,

  `create table foundations (
     project text primary key,
     firewall_id text,
     inputs_hash text,
     holder_operation uuid references operations (operation_id),
     holder_attempt int,
     updated_at timestamptz not null default now(),
     check ((firewall_id is null) = (inputs_hash is null)),
     check ((holder_operation is null) = (holder_attempt is null)))`,

  `create table idempotency_keys (
     key text primary key check (length(key) between 1 and 255),
     request_hash text not null,
     operation_id uuid not null references operations,
     created_at timestamptz not null default now())`,

  `create table workers (
     worker_id text primary key,
     host text not null,
     process text not null,
     concurrency int not null,
     started_at timestamptz not null default now(),
     seen_at timestamptz not null default now())`,

  `create table sweeps (
     sweep_id bigint generated always as identity primary key,
     started_at timestamptz not null default now(),
     finished_at timestamptz,
     calls int not null default 0,
     listed int not null default 0,
     removed int not null default 0,
     findings jsonb not null default '[]',
     note text,
     next jsonb)`,

  `create view provisioning_jobs as
     select o.operation_id as id, o.agent_id, a.user_id, o.stripe_event_id,
       (case o.status when 'queued' then 'queued' when 'active' then 'provisioning' when 'succeeded' then 'running'
          else 'failed' end)::job_status as status,
       a.region, o.workflow_run_id, o.retry_count, o.max_retries, o.error, o.failed_step, o.claimed_at,
       o.last_heartbeat_at, o.finished_at as completed_at, o.created_at, o.updated_at
     from operations o join agents a using (agent_id)
     where o.kind = 'provision'`,
];
