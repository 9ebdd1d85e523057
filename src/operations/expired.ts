import { hostname } from 'node:os';
import type { Database } from '../database/connect.ts';
import { LostError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Queue } from '../queue/queue.ts';
import { isWorkerAlive } from '../survivors.ts';
import { settleLocked } from './settle.ts';

/**
 * Settles attempts whose lease has run out: their worker died or was cut off, and has ended its children by now. They are repeated
 * without counting as failed.
 * @returns how many there were.
 */
export async function settleExpired(database: Database, queue: Queue, log: Log): Promise<number> {
  let count = 0;
  for (;;) {
    const found = await database.transaction().execute(async (trx) => {
      const row = await trx
        .selectFrom('operations as o')
        .innerJoin('agents as a', 'a.agent_id', 'o.agent_id')
        .selectAll('o')
        .where('o.status', '=', 'active')
        .where('o.executor', '=', 'local')
        .where(({ eb, fn }) => eb('o.lease_until', '<', fn<Date>('now')))
        .orderBy('o.sequence')
        .limit(1)
        // Neither is waited for: a request that holds the agent may want this very operation's row.
        .forNoKeyUpdate(['o', 'a'])
        .skipLocked()
        .executeTakeFirst();
      if (row === undefined) return undefined;
      const error = new LostError(
        `The worker ${row.worker_id} was not heard of since ${row.last_heartbeat_at?.toISOString()}`,
      );
      const status = await settleLocked(trx, queue, row, { error, step: row.step ?? 'queued' });
      return { row, status };
    });
    if (found === undefined) return count;
    count += 1;
    const ids = {
      operationId: found.row.operation_id,
      agentId: found.row.agent_id,
      attempt: found.row.attempt,
    };
    log.warn(
      { event: 'attempt.expired', ...ids, status: found.status },
      `the lease of ${found.row.kind} ran out; it is ${found.status}`,
    );
  }
}

/**
 * At the start of a worker: settles at once what workers of this very host held whose processes are gone. Their children have been
 * ended too, so there is no lease to wait for.
 */
export async function settleDeadWorkers(database: Database, queue: Queue, log: Log): Promise<void> {
  const workers = await database.selectFrom('workers').selectAll().where('host', '=', hostname()).execute();
  const dead = workers.filter((worker) => !isWorkerAlive(worker.process)).map((worker) => worker.worker_id);
  if (dead.length === 0) return;
  await database
    .updateTable('operations')
    .set({ lease_until: new Date(0) })
    .where('status', '=', 'active')
    .where('worker_id', 'in', dead)
    .execute();
  await settleExpired(database, queue, log);
  await database.deleteFrom('workers').where('worker_id', 'in', dead).execute();
}
