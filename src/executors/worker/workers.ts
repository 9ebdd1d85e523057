import { hostname } from 'node:os';
import { sql } from 'kysely';
import type { Database } from '../../database/connect.ts';
import { workerTag } from '../../processes/orphans.ts';

/** Says that this process works, for those who look whether anybody does; said again every few seconds. */
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

/** It works no longer. Where the database is away, its silence says so. */
export async function unregisterWorker(database: Database, workerId: string): Promise<void> {
  await database
    .deleteFrom('workers')
    .where('worker_id', '=', workerId)
    .execute()
    .catch(() => {});
}
