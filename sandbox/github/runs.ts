import type { Selectable } from 'kysely';
import type { SandboxDatabase } from '../database.ts';
import { scheduleDue } from '../due.ts';
import type { Conclusion, RunTable } from './schema.ts';
import type { Dispatch } from './workflow.ts';

export type RunRow = Selectable<RunTable>;

/** The kind of due work that executes a run. */
export const RUN_KIND = 'github-run';

/** Stores a queued run and schedules its execution in one transaction. */
export async function createRun(database: SandboxDatabase, { ref, inputs }: Dispatch): Promise<RunRow> {
  return database.transaction().execute(async (trx) => {
    const now = new Date();
    const run = await trx
      .insertInto('github_runs')
      .values({ ref, inputs: JSON.stringify(inputs), status: 'queued', created_at: now, updated_at: now })
      .returningAll()
      .executeTakeFirstOrThrow();
    await scheduleDue(trx, { kind: RUN_KIND, key: run.id, at: new Date(), payload: { runId: run.id } });
    return run;
  });
}

/** Finds a run by its id, which may be any text. */
export async function findRun(database: SandboxDatabase, id: string): Promise<RunRow | undefined> {
  return database
    .selectFrom('github_runs')
    .selectAll()
    .where((run) => run(run.cast<string>('id', 'text'), '=', id))
    .executeTakeFirst();
}

/**
 * Returns a page of runs, newest first, and the total number. `status` may be a conclusion too, as at GitHub.
 */
export async function listRuns(
  database: SandboxDatabase,
  { status, limit, offset }: { status: string | undefined; limit: number; offset: number },
): Promise<{ total: number; runs: RunRow[] }> {
  const matching = database
    .selectFrom('github_runs')
    .$if(status !== undefined, (runs) =>
      runs.where((run) =>
        run.or([
          run(run.cast<string>('status', 'text'), '=', status!),
          run(run.cast<string>('conclusion', 'text'), '=', status!),
        ]),
      ),
    );
  const runs = await matching.selectAll().orderBy('id', 'desc').limit(limit).offset(offset).execute();
  const counted = await matching
    .select(({ fn }) => fn.countAll<string>().as('total'))
    .executeTakeFirstOrThrow();
  return { total: Number(counted.total), runs };
}

/** Moves a queued run to in progress; undefined if it is no longer queued. */
export async function beginRun(database: SandboxDatabase, id: string): Promise<RunRow | undefined> {
  const now = new Date();
  return database
    .updateTable('github_runs')
    .set({ status: 'in_progress', started_at: now, updated_at: now })
    .where('id', '=', id)
    .where('status', '=', 'queued')
    .returningAll()
    .executeTakeFirst();
}

/** Completes a run, unless it has completed already. */
export async function completeRun(
  database: SandboxDatabase,
  id: string,
  conclusion: Conclusion,
): Promise<void> {
  await database
    .updateTable('github_runs')
    .set({ status: 'completed', conclusion, updated_at: new Date() })
    .where('id', '=', id)
    .where('status', '<>', 'completed')
    .execute();
}

/**
 * Cancels a queued run immediately, and requests the cancellation of one in progress.
 * @returns false if the run has already completed.
 */
export async function requestCancel(database: SandboxDatabase, id: string): Promise<boolean> {
  const now = new Date();
  const { numUpdatedRows } = await database
    .updateTable('github_runs')
    .set((run) => ({
      cancel_requested_at: run.fn.coalesce('cancel_requested_at', run.val(now)),
      updated_at: now,
      conclusion: run.case('status').when('queued').then<Conclusion>('cancelled').end(),
      status: run
        .case('status')
        .when('queued')
        .then<RunRow['status']>('completed')
        .else(run.ref('status'))
        .end(),
    }))
    .where('id', '=', id)
    .where('status', '<>', 'completed')
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** Cancels the runs that an earlier sandbox left in progress: their runner is gone. @returns their ids. */
export async function cancelInterrupted(database: SandboxDatabase): Promise<string[]> {
  const rows = await database
    .updateTable('github_runs')
    .set({ status: 'completed', conclusion: 'cancelled', updated_at: new Date() })
    .where('status', '=', 'in_progress')
    .returning('id')
    .execute();
  return rows.map(({ id }) => id);
}
