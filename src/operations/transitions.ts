import { sql, type UpdateObject } from 'kysely';
import type { ExecutorName } from '../config/executor-name.ts';
import type { Transaction } from '../database/connect.ts';
import type { Tables } from '../database/tables.ts';
import { ConflictError } from '../errors.ts';
import { auditEnds } from './audit-end.ts';
import { chosenExecutor } from './chosen-executor.ts';
import type { OperationRow } from './rows.ts';
import { type FAILURE_COLUMNS, TRANSITIONS, type Transition } from './transition-table.ts';

export { TRANSITIONS } from './transition-table.ts';

type Name = (typeof TRANSITIONS)[number]['by'];
type ColumnOf<N extends Name> = Extract<(typeof TRANSITIONS)[number], { by: N }>['columns'][number];
type Columns<N extends Name> = Required<Pick<UpdateObject<Tables, 'operations', 'operations'>, ColumnOf<N>>>;

/** The attempt whose operation the caller has locked. */
type Locked = Pick<OperationRow, 'operation_id' | 'attempt'>;

const transition = (by: Name): Transition => TRANSITIONS.find((one) => one.by === by)!;

/**
 * Makes a transition from the table; the types require exactly its columns.
 * @throws ConflictError if the row has another attempt or status
 */
async function move<N extends Name>(
  trx: Transaction,
  by: N,
  row: Locked,
  columns: Columns<N>,
): Promise<OperationRow> {
  const [moved] = await moveAll(trx, by, [row], columns);
  return moved!;
}

/**
 * Like move, for several rows with one statement, and for all of them or none.
 * @returns the rows in the order of `rows`
 */
async function moveAll<N extends Name>(
  trx: Transaction,
  by: N,
  rows: readonly Locked[],
  columns: Columns<N>,
): Promise<OperationRow[]> {
  const { from, to } = transition(by);
  const [ids, attempts] = [rows.map((row) => row.operation_id), rows.map((row) => row.attempt)];
  const updated = await trx
    .updateTable('operations')
    .set({ ...(columns as object), status: to, updated_at: sql`now()` })
    .where(
      sql<boolean>`(operation_id, attempt) in (select * from unnest(${ids}::uuid[], ${attempts}::int[]))`,
    )
    .where('status', 'in', from)
    .returningAll()
    .execute();
  const byId = new Map(updated.map((row) => [row.operation_id, row]));
  const moved = rows.map(({ operation_id: operationId, attempt }) => {
    const row = byId.get(operationId);
    if (row !== undefined) return row;
    throw new ConflictError(`Attempt ${attempt} of operation ${operationId} cannot become ${to}: ${by}`);
  });
  await auditEnds(trx, moved);
  return moved;
}

const secondsFromNow = (seconds: number) => sql<Date>`now() + make_interval(secs => ${seconds})`;

const begun = (leaseSeconds: number) => ({
  lease_until: secondsFromNow(leaseSeconds),
  claimed_at: sql<Date>`now()`,
  last_heartbeat_at: sql<Date>`now()`,
  started_at: sql<Date>`coalesce(started_at, now())`,
});

interface WorkerBegin {
  workerId: string;
  leaseSeconds: number;
}

export async function beginOnWorker(
  trx: Transaction,
  row: Locked,
  begin: WorkerBegin,
): Promise<OperationRow> {
  const [moved] = await beginAllOnWorker(trx, [row], begin);
  return moved!;
}

export function beginAllOnWorker(
  trx: Transaction,
  rows: readonly Locked[],
  { workerId, leaseSeconds }: WorkerBegin,
): Promise<OperationRow[]> {
  const attempt = sql<number>`attempt + 1`;
  return moveAll(trx, 'a worker claims it', rows, { attempt, worker_id: workerId, ...begun(leaseSeconds) });
}

/** `attempt`: the dispatched one, or the next one if none was dispatched. */
export function beginOnRunner(
  trx: Transaction,
  row: OperationRow,
  begin: { attempt: number; workflowRunId: string | null; leaseSeconds: number },
): Promise<OperationRow> {
  const { attempt, workflowRunId, leaseSeconds } = begin;
  return move(trx, 'a runner begins it', row, {
    attempt,
    worker_id: `github:${workflowRunId ?? attempt}`,
    workflow_run_id: workflowRunId,
    ...begun(leaseSeconds),
    // Recovery depends on why an earlier try failed, so restore that error in place of the dispatch error.
    error: row.dispatch_failures > 0 ? row.error_before_dispatch : row.error,
    error_before_dispatch: null,
    dispatch_failures: 0,
    result: null,
    report: null,
  });
}

/**
 * Opens the next attempt, so that callbacks for it are accepted. The operation becomes due again after
 * `seconds` unless the dispatch is confirmed before.
 */
export function openDispatch(trx: Transaction, row: OperationRow, seconds: number): Promise<OperationRow> {
  return move(trx, 'its next attempt is dispatched', row, {
    attempt: row.attempt + 1,
    dispatched_at: sql<Date>`now()`,
    run_after: secondsFromNow(seconds),
    polled_at: null,
    workflow_run_id: null,
    result: null,
    report: null,
  });
}

export function refuseDispatch(
  trx: Transaction,
  row: OperationRow,
  { reason, seconds }: { reason: string; seconds: number },
): Promise<OperationRow> {
  return move(trx, 'its dispatch is refused', row, {
    dispatched_at: null,
    error_before_dispatch: row.dispatch_failures === 0 ? row.error : row.error_before_dispatch,
    error: reason,
    dispatch_failures: row.dispatch_failures + 1,
    run_after: secondsFromNow(seconds),
  });
}

/**
 * Moves all queued operations to another executor. Dispatched attempts that have not begun are abandoned and
 * due at once.
 */
export async function changeExecutor(trx: Transaction, executor: ExecutorName): Promise<void> {
  const columns: Columns<'another executor is chosen'> = {
    executor,
    dispatched_at: null,
    run_after: sql<Date>`case when dispatched_at is null then run_after else now() end`,
  };
  await trx
    .updateTable('operations')
    .set({ ...columns, updated_at: sql`now()` })
    .where('status', 'in', transition('another executor is chosen').from)
    .where('executor', '<>', executor)
    .execute();
}

export function hasten(trx: Transaction, row: Locked): Promise<OperationRow> {
  return move(trx, 'a person hastens it', row, { run_after: sql<Date>`now()` });
}

export function cancelBeforeBegin(trx: Transaction, row: Locked): Promise<OperationRow> {
  return move(trx, 'a person cancels it', row, {
    dispatched_at: null,
    cancel_requested: true,
    finished_at: sql<Date>`clock_timestamp()`,
  });
}

const RELEASED = { worker_id: null, lease_until: null, dispatched_at: null };
const finished = () => ({ ...RELEASED, finished_at: sql<Date>`clock_timestamp()` });
const queued = { ...RELEASED, executor: chosenExecutor };
const requeued = (seconds: number) => ({ ...queued, run_after: secondsFromNow(seconds) });

/** Why a try did not succeed, and the numbers of failed and lost tries including it. */
export type Failure = Pick<OperationRow, (typeof FAILURE_COLUMNS)[number]>;

export function markSucceeded(trx: Transaction, rows: readonly Locked[]): Promise<OperationRow[]> {
  const nothing = { error: null, failed_step: null, failure_code: null };
  return moveAll(trx, 'its work is done', rows, { ...nothing, ...finished() });
}

/** `next`: why the try failed, and the pause before the next one. */
export function queueNextTry(
  trx: Transaction,
  row: Locked,
  next: { failure: Failure; delaySeconds: number },
) {
  return move(trx, 'a try fails or is lost', row, { ...next.failure, ...requeued(next.delaySeconds) });
}

export function returnToQueue(trx: Transaction, row: Locked): Promise<OperationRow> {
  return move(trx, 'its worker hands it back', row, requeued(0));
}

export function queueForSupply(
  trx: Transaction,
  row: Locked,
  { reason, code, seconds }: { reason: string; code: string | null; seconds: number },
) {
  const why = { waits_for: reason, failure_code: code };
  return move(trx, 'what it needs is sold out', row, { ...why, ...requeued(seconds) });
}

export function markFailed(trx: Transaction, row: Locked, failure: Failure): Promise<OperationRow> {
  return move(trx, 'its last try fails', row, { ...failure, ...finished() });
}

export function markCancelled(trx: Transaction, row: Locked, step: string): Promise<OperationRow> {
  const why = { error: 'Cancelled', failed_step: step, failure_code: null };
  return move(trx, 'its try ends after a cancellation', row, { ...why, ...finished() });
}

export function queueAgain(trx: Transaction, row: Locked): Promise<OperationRow> {
  return move(trx, 'a person retries it', row, {
    executor: chosenExecutor,
    retry_count: 0,
    lost_count: 0,
    cancel_requested: false,
    finished_at: null,
    run_after: sql<Date>`now()`,
  });
}
