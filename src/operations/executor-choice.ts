import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import type { OperationTable } from '../database/tables.ts';

type ExecutorName = OperationTable['executor'];

/** What the installation's next attempts are carried out by; every operation that is queued, or queued again, gets it. */
export const chosenExecutor = sql<ExecutorName>`coalesce((select executor from installation), 'local')`;

/** Records the choice that the configuration makes. What waits and has not been dispatched goes with it. */
export async function chooseExecutor(database: Database, executor: ExecutorName): Promise<void> {
  await database.transaction().execute(async (trx) => {
    await trx.updateTable('installation').set({ executor }).where('executor', '<>', executor).execute();
    await trx
      .updateTable('operations')
      .set({ executor, updated_at: sql`now()` })
      .where('status', '=', 'queued')
      .where('dispatched_at', 'is', null)
      .where('executor', '<>', executor)
      .execute();
  });
}
