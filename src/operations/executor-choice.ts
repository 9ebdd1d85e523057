import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import type { OperationTable } from '../database/tables.ts';

type ExecutorName = OperationTable['executor'];

/** What the installation's next attempts are carried out by; every operation that is queued, or queued again, gets it. */
export const chosenExecutor = sql<ExecutorName>`coalesce((select executor from installation), 'local')`;

/**
 * Records the choice that the configuration makes. What waits goes with it, also for a runner that has not begun: its run is no longer
 * wanted, and is refused. What a runner has begun it ends.
 */
export async function chooseExecutor(database: Database, executor: ExecutorName): Promise<void> {
  await database.transaction().execute(async (trx) => {
    await trx.updateTable('installation').set({ executor }).where('executor', '<>', executor).execute();
    await sql`insert into run_cancellations (workflow_run_id, operation_id)
      select workflow_run_id, operation_id from operations
      where status = 'queued' and executor <> ${executor} and dispatched_at is not null and workflow_run_id is not null
      on conflict do nothing`.execute(trx);
    await trx
      .updateTable('operations')
      .set({
        executor,
        dispatched_at: null,
        run_after: sql`case when dispatched_at is null then run_after else now() end`,
        updated_at: sql`now()`,
      })
      .where('status', '=', 'queued')
      .where('executor', '<>', executor)
      .execute();
  });
}
