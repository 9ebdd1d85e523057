import { type Kysely, sql } from 'kysely';

/**
 * Breakers: limits on the changes that the service makes by itself, the changes they hold back, a ledger of
 * those that went ahead, and Hetzner's prices. Gives checks the time since which their result holds.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // All times here are business times, from the service's clock.
  `create table breakers (
     name text primary key check (name in ('creates', 'destroys', 'spend', 'suspensions')),
     limit_count int check (limit_count >= 0),
     limit_percent numeric(6, 3) check (limit_percent between 0 and 100),
     limit_least int check (limit_least >= 0),
     limit_euros numeric(12, 4) check (limit_euros >= 0),
     tripped_at timestamptz,
     cause text check (length(cause) between 1 and 2000),
     approved_at timestamptz,
     trips int not null default 0,
     check ((tripped_at is null) = (cause is null)),
     check (approved_at is null or tripped_at is not null),
     check ((limit_percent is null) = (limit_least is null)))`,
  // The defaults; each start writes the configured limits.
  `insert into breakers (name, limit_count, limit_percent, limit_least) values
     ('creates', 60, null, null), ('destroys', 5, 5, 1), ('spend', null, null, null), ('suspensions', null, 20, 10)`,

  `create table held_changes (
     held_change_id bigint generated always as identity primary key,
     agent_id text not null references agents on delete cascade,
     kind text not null check (kind ~ '^[a-z][a-z-]{0,30}$'),
     breaker text not null references breakers,
     parameters jsonb not null default '{}',
     actor text not null,
     cause text not null check (length(cause) between 1 and 2000),
     stripe_event_id text references stripe_events on delete cascade,
     since timestamptz not null,
     approved_at timestamptz,
     unique (agent_id, kind))`,
  `create index held_changes_by_breaker on held_changes (breaker, held_change_id)`,

  `create table changes (
     change_id bigint generated always as identity primary key,
     agent_id text not null references agents on delete cascade,
     kind text not null,
     cause text not null,
     at timestamptz not null,
     operation_id uuid references operations on delete set null)`,
  `create index changes_by_time on changes (at, kind)`,

  `create table server_prices (
     server_type text not null,
     location text not null,
     euros_per_hour numeric(12, 6) not null check (euros_per_hour >= 0),
     fetched_at timestamptz not null,
     primary key (server_type, location))`,

  `alter table checks add column since timestamptz not null default now()`,
];
