import { sql } from 'kysely';
import type { Database, Transaction } from '../database/connect.ts';

/** Requests that the open attempt's workflow run be cancelled at GitHub after this transaction commits. */
export async function endWorkflowRun(trx: Transaction, operationId: string): Promise<void> {
  await sql`
    insert into run_cancellations (workflow_run_id, operation_id)
    select workflow_run_id, operation_id from operations
    where operation_id = ${operationId} and executor = 'github-actions' and workflow_run_id is not null
      and (status = 'active' or dispatched_at is not null)
    on conflict do nothing`.execute(trx);
}

/** Requests the cancellation of a workflow run that belongs to no open attempt. */
export async function endUnwantedRun(
  trx: Transaction,
  run: { runId: string; operationId: string },
): Promise<void> {
  await trx
    .insertInto('run_cancellations')
    .values({ workflow_run_id: run.runId, operation_id: run.operationId })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

const MAX_TRIES = 12;
const PAUSE_SECONDS = 10;
const LONGEST_PAUSE_SECONDS = 600;

/** Takes due cancellations, each in one process. An unconfirmed one becomes due again with growing delays. */
export async function takeDueCancellations(database: Database, limit = 10): Promise<string[]> {
  const { rows } = await sql<{ workflow_run_id: string }>`
    update run_cancellations set tries = tries + 1,
      try_at = now() + make_interval(secs => least(${PAUSE_SECONDS} * power(2, tries), ${LONGEST_PAUSE_SECONDS}))
    where workflow_run_id in (
      select workflow_run_id from run_cancellations
      where done_at is null and try_at <= now() and tries < ${MAX_TRIES}
      order by try_at limit ${limit} for update skip locked)
    returning workflow_run_id`.execute(database);
  return rows.map((row) => row.workflow_run_id);
}

export async function confirmCancellation(database: Database, runId: string): Promise<void> {
  await database
    .updateTable('run_cancellations')
    .set({ done_at: sql`now()` })
    .where('workflow_run_id', '=', runId)
    .execute();
}
