import { sql } from 'kysely';
import type { Database, Transaction } from '../../database/connect.ts';
import { CancelledError, ConflictError, LostError, RetryableError, reportedError } from '../../errors.ts';
import type { WorkflowRun } from '../../github/github.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { appendEvents } from '../../operations/events/events.ts';
import { lockOperation } from '../../operations/requests.ts';
import { settleLocked, succeedLocked } from '../../operations/settle.ts';
import type { Queue } from '../../queue/queue.ts';
import { getStanding } from './attempts.ts';
import { readResult } from './result.ts';

/** Two and a half heartbeats. */
const SILENT_SECONDS = 150;
const POLL_SECONDS = 60;
/** A cancelled run is checked more often, because someone is waiting. */
const POLL_CANCELLED_SECONDS = 5;
/** A cancelled attempt is over after this long, even if GitHub has not confirmed it. */
const CANCEL_LIMIT_SECONDS = 120;

export interface Watched {
  operationId: string;
  attempt: number;
  dispatchedAt: Date;
  /** Null if neither GitHub's answer to the dispatch nor a callback contained it. */
  runId: string | null;
}

/** Takes attempts whose runs should be checked, each in one process at a time. */
export async function takeSilentRuns(
  database: Database,
  silentSeconds = SILENT_SECONDS,
  limit = 20,
): Promise<Watched[]> {
  const { rows } = await sql<Watched>`
    update operations set polled_at = now()
    where operation_id in (
      select operation_id from operations
      where executor = 'github-actions' and dispatched_at is not null and status in ('active', 'queued')
        and (cancel_requested or coalesce(last_heartbeat_at, dispatched_at) < now() - make_interval(secs => ${silentSeconds})
          and dispatched_at < now() - make_interval(secs => ${silentSeconds}))
        and (polled_at is null or polled_at < now() - make_interval(secs =>
          case when cancel_requested then ${POLL_CANCELLED_SECONDS}::int else ${POLL_SECONDS}::int end))
      order by polled_at nulls first limit ${limit} for no key update skip locked)
    returning operation_id as "operationId", attempt, dispatched_at as "dispatchedAt", workflow_run_id as "runId"`.execute(
    database,
  );
  return rows;
}

/** Records a run that was found by its title, unless a callback has named another meanwhile. */
export async function recordFoundRun(
  database: Database,
  { operationId, attempt }: Watched,
  runId: string,
): Promise<void> {
  await database
    .updateTable('operations')
    .set({ workflow_run_id: runId, updated_at: sql`now()` })
    .where('operation_id', '=', operationId)
    .where('attempt', '=', attempt)
    .where('workflow_run_id', 'is', null)
    .where('status', 'in', ['queued', 'active'])
    .execute();
}

/**
 * Settles an attempt whose run has ended without a last callback: by the result that the runner recorded, or
 * else as failed.
 * @returns the reason; undefined if there was nothing to settle
 */
export async function settleEndedRun(
  deps: { database: Database; queue: Queue; retrySeconds?: number | undefined },
  watched: Watched,
  run: WorkflowRun,
): Promise<string | undefined> {
  if (run.status !== 'completed') return undefined;
  return deps.database.transaction().execute(async (trx) => {
    const { operation: row } = await lockOperation(trx, watched.operationId);
    const isSame = row.attempt === watched.attempt && row.workflow_run_id === watched.runId;
    if (!isSame || getStanding(row) !== 'open') return undefined;
    const line = `Workflow run ${watched.runId} has ended (${run.conclusion ?? 'no conclusion'}) without its last callback`;
    await appendEvents(trx, row.operation_id, row.attempt, [
      { type: 'log', data: { line, stream: 'service' } },
    ]);
    const ended = run.conclusion === 'cancelled' ? new LostError(line) : new RetryableError(line);
    await settleByRecord(trx, deps, row, ended);
    return line;
  });
}

async function settleByRecord(
  trx: Transaction,
  { queue, retrySeconds }: { queue: Queue; retrySeconds?: number | undefined },
  row: OperationRow,
  ended: Error,
): Promise<void> {
  const result = readResult(row);
  const fail = (error: unknown, step = row.step ?? 'queued') =>
    settleLocked(trx, queue, row, { error, step }, retrySeconds);
  if (row.cancel_requested) await fail(new CancelledError('Cancelled'));
  else if (result === undefined) await fail(ended);
  else if (result.status === 'failed') await fail(reportedError(result), result.step);
  else {
    try {
      await succeedLocked(trx, queue, row, result.effect);
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      await fail(error);
    }
  }
}

/**
 * Ends cancelled attempts whose end GitHub has not confirmed, because no run is known or GitHub does not
 * answer. Later reports are refused, and the agent's next operation evicts the run from the Pulumi state.
 * @returns their operations
 */
export async function settleCancelled(database: Database, queue: Queue): Promise<OperationRow[]> {
  const settled: OperationRow[] = [];
  for (;;) {
    const row = await database.transaction().execute((trx) => settleOneCancelled(trx, queue));
    if (row === undefined) return settled;
    settled.push(row);
  }
}

async function settleOneCancelled(trx: Transaction, queue: Queue): Promise<OperationRow | undefined> {
  const row = await trx
    .selectFrom('operations as o')
    .innerJoin('agents as a', 'a.agent_id', 'o.agent_id')
    .selectAll('o')
    .where('o.status', '=', 'active')
    .where('o.executor', '=', 'github-actions')
    .where('o.cancel_requested', '=', true)
    .where(sql<boolean>`(o.workflow_run_id is null or exists (
      select 1 from run_cancellations c where c.workflow_run_id = o.workflow_run_id
        and c.asked_at < now() - make_interval(secs => ${CANCEL_LIMIT_SECONDS})))`)
    .limit(1)
    .forNoKeyUpdate(['o', 'a'])
    .skipLocked()
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const failure = { error: new CancelledError('Cancelled'), step: row.step ?? 'queued' };
  await settleLocked(trx, queue, row, failure);
  return row;
}
