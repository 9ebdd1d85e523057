import type { GeneratedAlways } from 'kysely';
import type { Json, SandboxSchema } from '../schema.ts';
import type { WorkflowInputs } from './workflow.ts';

export interface GithubTables {
  github_runs: RunTable;
}

export type Conclusion = 'success' | 'failure' | 'cancelled' | 'timed_out' | 'startup_failure';

export interface RunTable {
  /** A bigint, which the driver returns as text. */
  id: GeneratedAlways<string>;
  number: GeneratedAlways<number>;
  ref: string;
  inputs: Json<WorkflowInputs>;
  status: 'queued' | 'in_progress' | 'completed';
  conclusion: Conclusion | null;
  created_at: Date;
  started_at: Date | null;
  updated_at: Date;
  cancel_requested_at: Date | null;
}

/** The tables of the workflow's runs. Run numbers are never reused. */
export const githubSchema: SandboxSchema = {
  area: 'github',
  version: 1,
  statements: [
    `create table if not exists github_runs (
      id bigint generated always as identity (start with 17000000001) primary key,
      number int generated always as identity,
      ref text not null,
      inputs jsonb not null,
      status text not null check (status in ('queued', 'in_progress', 'completed')),
      conclusion text check ((conclusion is not null) = (status = 'completed')),
      created_at timestamptz not null,
      started_at timestamptz,
      updated_at timestamptz not null,
      cancel_requested_at timestamptz
    )`,
    "create index if not exists github_runs_unfinished on github_runs (id) where status <> 'completed'",
  ],
};
