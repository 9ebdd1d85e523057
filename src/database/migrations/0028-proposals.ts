import { type Kysely, sql } from 'kysely';

export async function up(database: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
}

const STATEMENTS = [
  // What a program asks for that a person has to decide. Undecided ones expire and are then deleted.
  `create table proposals (
     proposal_id uuid primary key default gen_random_uuid(),
     sequence bigint not null generated always as identity unique,
     agent_id text not null references agents on delete cascade,
     kind text not null check (kind ~ '^[a-z][a-z-]{0,30}$'),
     -- The agent's when it was proposed: what a person approves must still be what was meant.
     agent_status text not null,
     reason text not null check (length(reason) between 1 and 1000),
     proposed_by text not null check (length(proposed_by) between 1 and 200),
     proposed_at timestamptz not null default now(),
     expires_at timestamptz not null check (expires_at > proposed_at),
     decision text check (decision in ('approved', 'rejected')),
     decided_by text check (length(decided_by) between 1 and 200),
     decided_at timestamptz,
     operation_id uuid references operations on delete set null,
     check ((decision is null) = (decided_by is null)),
     check ((decision is null) = (decided_at is null)),
     check (operation_id is null or decision = 'approved'))`,
  `create unique index proposals_open on proposals (agent_id, kind) where decision is null`,
  // How many operations programs have asked for within the last hour.
  `create index audit_log_by_programs on audit_log (at)
     where operation_id is not null and (actor like 'program%' or actor like '% via %')`,
];
