import type { SandboxSchema } from '../database.ts';

/** The workflow's runs. Numbers of runs are never given twice. */
export const githubSchema: SandboxSchema = {
  area: 'github',
  version: 1,
  statements: [
    `CREATE TABLE IF NOT EXISTS github_runs (
      id bigint GENERATED ALWAYS AS IDENTITY (START WITH 17000000001) PRIMARY KEY,
      number int GENERATED ALWAYS AS IDENTITY,
      ref text NOT NULL,
      inputs jsonb NOT NULL,
      status text NOT NULL CHECK (status IN ('queued', 'in_progress', 'completed')),
      conclusion text CHECK ((conclusion IS NOT NULL) = (status = 'completed')),
      created_at timestamptz NOT NULL,
      started_at timestamptz,
      updated_at timestamptz NOT NULL,
      cancel_requested_at timestamptz
    )`,
    "CREATE INDEX IF NOT EXISTS github_runs_unfinished ON github_runs (id) WHERE status <> 'completed'",
  ],
};
