import { type Kysely, sql } from 'kysely';

/** Canaries: agents that go through a whole life to show that everything works. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // The agent's row follows the run's, which knows what may be spent.
  `create table canary_runs (
     run_id uuid primary key default gen_random_uuid(),
     agent_id text not null unique check (length(agent_id) between 1 and 40),
     cause text not null check (cause in ('person', 'schedule')),
     region text not null check (length(region) between 1 and 40),
     plan text not null check (length(plan) between 1 and 40),
     max_euros numeric not null check (max_euros > 0 and max_euros <= 1000),
     expected_euros numeric check (expected_euros >= 0),
     status text not null default 'running' check (status in ('running', 'succeeded', 'failed', 'refused')),
     error text check (length(error) <= 2000),
     started_at timestamptz not null default now(),
     finished_at timestamptz,
     check ((status = 'running') = (finished_at is null)))`,
  `create unique index canary_runs_running on canary_runs ((true)) where status = 'running'`,
  `create index canary_runs_newest on canary_runs (started_at)`,
];
