import { sql } from 'kysely';
import type { ExecutorName } from '../config/executor-name.ts';
import type { Database } from '../database/connect.ts';
import { giveUnservedUp } from '../slots/claimed.ts';
import { changeExecutor } from './transitions.ts';

/**
 * Records the configured executor and moves all queued operations to it, including dispatched ones that have
 * not begun: their workflow runs are cancelled, and refused if they begin anyway. A runner finishes what it
 * has begun.
 */
export async function chooseExecutor(database: Database, executor: ExecutorName): Promise<void> {
  await database.transaction().execute(async (trx) => {
    await trx.updateTable('installation').set({ executor }).where('executor', '<>', executor).execute();
    await sql`insert into run_cancellations (workflow_run_id, operation_id)
      select workflow_run_id, operation_id from operations
      where status = 'queued' and executor <> ${executor} and dispatched_at is not null and workflow_run_id is not null
      on conflict do nothing`.execute(trx);
    await changeExecutor(trx, executor);
    if (executor !== 'local') await giveUnservedUp(trx);
  });
}
