import { type Kysely, sql } from 'kysely';

/**
 * Attempts that run as workflow runs at GitHub: the executor of new operations, the state of a dispatch, what
 * the runner has reported, and the runs that must be cancelled there.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table installation add column executor text not null default 'local'
     check (executor in ('local', 'github-actions'))`,

  // While an operation is queued with `dispatched_at` set, its current attempt may report until `run_after`.
  `alter table operations
     add column dispatched_at timestamptz,
     add column dispatch_failures int not null default 0 check (dispatch_failures >= 0),
     add column error_before_dispatch text,
     add column polled_at timestamptz,
     add column result jsonb,
     add column report jsonb`,

  `create table run_cancellations (
     workflow_run_id text primary key,
     operation_id uuid not null references operations on delete cascade,
     asked_at timestamptz not null default now(),
     try_at timestamptz not null default now(),
     tries int not null default 0,
     done_at timestamptz)`,
  `create index run_cancellations_due on run_cancellations (try_at) where done_at is null`,
];
