import type pg from 'pg';
import { inTransaction, type Queryable } from '../database.ts';
import { scheduleDue } from '../due.ts';
import type { Dispatch, WorkflowInputs } from './workflow.ts';

export type Conclusion = 'success' | 'failure' | 'cancelled' | 'timed_out' | 'startup_failure';

export type RunRow = {
  /** A bigint: it stays text on its way through. */
  id: string;
  number: number;
  ref: string;
  inputs: WorkflowInputs;
  status: 'queued' | 'in_progress' | 'completed';
  conclusion: Conclusion | null;
  created_at: Date;
  started_at: Date | null;
  updated_at: Date;
  cancel_requested_at: Date | null;
};

/** The kind of due work that carries a run out. */
export const runKind = 'github-run';

/** Stores a queued run together with the work of carrying it out. */
export async function createRun(pool: pg.Pool, { ref, inputs }: Dispatch): Promise<RunRow> {
  return inTransaction(pool, async (client) => {
    const { rows } = await client.query<RunRow>(
      `INSERT INTO github_runs (ref, inputs, status, created_at, updated_at)
       VALUES ($1, $2, 'queued', $3, $3) RETURNING *`,
      [ref, JSON.stringify(inputs), new Date()],
    );
    const run = rows[0]!;
    await scheduleDue(client, { kind: runKind, key: run.id, at: new Date(), payload: { runId: run.id } });
    return run;
  });
}

export async function findRun(db: Queryable, id: string): Promise<RunRow | undefined> {
  const { rows } = await db.query<RunRow>('SELECT * FROM github_runs WHERE id::text = $1', [id]);
  return rows[0];
}

/** A page of runs, newest first, and how many there are in all. */
export async function listRuns(
  db: Queryable,
  filter: { status: string | undefined; limit: number; offset: number },
): Promise<{ total: number; runs: RunRow[] }> {
  const where = '$1::text IS NULL OR status = $1 OR conclusion = $1';
  const { rows } = await db.query<RunRow>(
    `SELECT * FROM github_runs WHERE ${where} ORDER BY id DESC LIMIT $2 OFFSET $3`,
    [filter.status ?? null, filter.limit, filter.offset],
  );
  const counted = await db.query<{ total: string }>(
    `SELECT count(*) AS total FROM github_runs WHERE ${where}`,
    [filter.status ?? null],
  );
  return { total: Number(counted.rows[0]!.total), runs: rows };
}

/** Takes a queued run to be carried out; undefined where it is not queued any more. */
export async function beginRun(db: Queryable, id: string): Promise<RunRow | undefined> {
  const { rows } = await db.query<RunRow>(
    `UPDATE github_runs SET status = 'in_progress', started_at = $2, updated_at = $2
     WHERE id = $1 AND status = 'queued' RETURNING *`,
    [id, new Date()],
  );
  return rows[0];
}

export async function completeRun(db: Queryable, id: string, conclusion: Conclusion): Promise<void> {
  await db.query(
    `UPDATE github_runs SET status = 'completed', conclusion = $2, updated_at = $3
     WHERE id = $1 AND status <> 'completed'`,
    [id, conclusion, new Date()],
  );
}

/** One that waits is cancelled at once; one in progress is asked to end. @returns whether it had not ended yet. */
export async function requestCancel(db: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `UPDATE github_runs SET cancel_requested_at = coalesce(cancel_requested_at, $2), updated_at = $2,
       conclusion = CASE status WHEN 'queued' THEN 'cancelled' END,
       status = CASE status WHEN 'queued' THEN 'completed' ELSE status END
     WHERE id = $1 AND status <> 'completed'`,
    [id, new Date()],
  );
  return rowCount === 1;
}

/** Runs that a sandbox which has ended left in progress: their runner is gone. @returns their ids. */
export async function cancelInterrupted(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `UPDATE github_runs SET status = 'completed', conclusion = 'cancelled', updated_at = $1
     WHERE status = 'in_progress' RETURNING id`,
    [new Date()],
  );
  return rows.map(({ id }) => id);
}
