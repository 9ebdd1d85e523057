import { hostname } from 'node:os';
import { type RawBuilder, sql } from 'kysely';
import { EXECUTORS, type ExecutorName } from '../../config/executor-name.ts';
import { LEASE_SECONDS } from '../../config/timing.ts';
import type { Database } from '../../database/connect.ts';
import { LostError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { appendEvents } from '../../operations/events/events.ts';
import { endWorkflowRun } from '../../operations/run-cancellations.ts';
import { settleLocked } from '../../operations/settle.ts';
import { RUNNER_SILENT_SECONDS } from '../../operations/states.ts';
import { isWorkerGone } from '../../processes/orphans.ts';
import type { Queue } from '../../queue/queue.ts';

/** The lease of a dead worker's attempts: they have expired, whatever the original lease was. */
const PROCESS_GONE = new Date(0);

/**
 * Settles attempts without a heartbeat as lost. A local one expires with its lease: its worker has died, or
 * was cut off and has killed its child processes by now. One on a GitHub runner expires after a quarter of an
 * hour. They are repeated without counting as failed.
 * @returns the number of settled attempts
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
        .where(hasExpired)
        .orderBy('o.sequence')
        .limit(1)
        // Skip instead of waiting: a request that holds the agent may be about to lock this operation's row.
        .forNoKeyUpdate(['o', 'a'])
        .skipLocked()
        .executeTakeFirst();
      if (row === undefined) return undefined;
      const reason = EXPIRY[row.executor].explain(row);
      await endWorkflowRun(trx, row.operation_id);
      await appendEvents(trx, row.operation_id, row.attempt, [
        { type: 'log', data: { line: reason, stream: 'service' } },
      ]);
      const error = new LostError(reason);
      const status = await settleLocked(trx, queue, row, { error, step: row.step ?? 'queued' });
      return { row, reason, status };
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
      `${found.row.kind} of ${found.row.agent_id} is ${found.status}: ${found.reason}`,
    );
  }
}

interface Expiry {
  /** A condition on an active row `o` of `operations`. */
  hasExpired: RawBuilder<boolean>;
  /** Says who was lost, and since when. */
  explain(row: OperationRow): string;
}

const EXPIRY: Record<ExecutorName, Expiry> = {
  local: { hasExpired: sql`o.lease_until < now()`, explain: explainLostWorker },
  'github-actions': {
    hasExpired: sql`coalesce(o.last_heartbeat_at, o.claimed_at) < now() - make_interval(secs => ${RUNNER_SILENT_SECONDS})`,
    explain: explainLostRunner,
  },
};

const hasExpired = sql<boolean>`(${sql.join(
  EXECUTORS.map((name) => sql`(o.executor = ${name} and ${EXPIRY[name].hasExpired})`),
  sql` or `,
)})`;

function explainLostWorker(row: OperationRow): string {
  if (row.lease_until?.getTime() === PROCESS_GONE.getTime())
    return `The process of worker ${row.worker_id} is gone; it was last heard of at ${lastSign(row)?.toISOString()}`;
  return `The worker ${row.worker_id} has not been heard of ${since(row)}, and its lease has run out`;
}

function explainLostRunner(row: OperationRow): string {
  const run = row.workflow_run_id === null ? '' : ` (workflow run ${row.workflow_run_id})`;
  return `The GitHub runner${run} has not been heard of ${since(row)}, for more than ${RUNNER_SILENT_SECONDS / 60} minutes`;
}

function lastSign(row: OperationRow): Date | null {
  return row.last_heartbeat_at ?? row.claimed_at;
}

function since(row: OperationRow): string {
  const last = lastSign(row);
  return last === null ? 'at all' : `since ${last.toISOString()}`;
}

/**
 * Settles the attempts of dead workers on this host when a worker starts. Their child processes have been
 * killed too, so there is no need to wait for the leases to expire. Only what this process would see running
 * counts as dead: several containers and machines may have one host name. Of others that have been silent for
 * a lease the row is removed, and their attempts end with their leases.
 */
export async function settleDeadWorkers(database: Database, queue: Queue, log: Log): Promise<void> {
  const workers = await database.selectFrom('workers').selectAll().where('host', '=', hostname()).execute();
  const dead = workers.filter((worker) => isWorkerGone(worker.process)).map((worker) => worker.worker_id);
  await forgetSilent(database);
  if (dead.length === 0) return;
  await database
    .updateTable('operations')
    .set({ lease_until: PROCESS_GONE })
    .where('status', '=', 'active')
    .where('worker_id', 'in', dead)
    .execute();
  await settleExpired(database, queue, log);
  await database.deleteFrom('workers').where('worker_id', 'in', dead).execute();
}

/** One that lives after all registers itself again. */
async function forgetSilent(database: Database): Promise<void> {
  await database
    .deleteFrom('workers')
    .where('host', '=', hostname())
    .where('seen_at', '<', sql<Date>`now() - make_interval(secs => ${LEASE_SECONDS})`)
    .execute();
}
