import { hostname } from 'node:os';
import { sql } from 'kysely';
import type { Database } from '../../database/connect.ts';
import { workerTag } from '../../processes/orphans.ts';

/** Registers this worker and refreshes its heartbeat. */
export async function registerWorker(
  database: Database,
  { workerId, concurrency }: { workerId: string; concurrency: number },
): Promise<void> {
  await database
    .insertInto('workers')
    .values({ worker_id: workerId, host: hostname(), process: workerTag(), concurrency })
    .onConflict((conflict) => conflict.column('worker_id').doUpdateSet({ seen_at: sql`now()` }))
    .execute();
}

/** Removes the worker's registration. If the database is unavailable, the missing heartbeat has to do. */
export async function unregisterWorker(database: Database, workerId: string): Promise<void> {
  await database
    .deleteFrom('workers')
    .where('worker_id', '=', workerId)
    .execute()
    .catch(() => {});
}
