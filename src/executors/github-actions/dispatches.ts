import { sql } from 'kysely';
import type { Database, Transaction } from '../../database/connect.ts';
import { cutText } from '../../database/storable.ts';
import { LostError } from '../../errors.ts';
import { nextDue, type OperationRow } from '../../operations/claims.ts';
import { appendEvents } from '../../operations/events/events.ts';
import { LONGEST_ERROR } from '../../operations/lengths.ts';
import { endUnwantedRun, endWorkflowRun } from '../../operations/run-cancellations.ts';
import { settleLocked } from '../../operations/settle.ts';
import { refuseDispatch as moveRefused, openDispatch } from '../../operations/transitions.ts';
import type { Queue } from '../../queue/queue.ts';

/** An unconfirmed dispatch is repeated after this time, as the next attempt: its process has died. */
const DISPATCH_SECONDS = 90;
/** How long a dispatched run may wait for a runner before its attempt is lost. */
export const START_LIMIT_SECONDS = 30 * 60;

const BACKOFF_SECONDS = [5, 15, 60, 180];
const LONGEST_BACKOFF_SECONDS = 300;

export type Taken =
  /** Its next attempt accepts callbacks and must now be dispatched. */
  | { kind: 'dispatch'; operation: OperationRow }
  /** Its dispatched attempt was given up as lost. */
  | { kind: 'given-up'; operation: OperationRow; reason: string }
  /** Nothing can be dispatched at the moment. */
  | { kind: 'refused'; operation: OperationRow };

/**
 * Takes the next operation to dispatch, by the same rules as a worker's claim. `refusal`: why nothing can be
 * dispatched now; the operation's next attempt is then not opened.
 */
export async function takeDispatch(
  { database, queue }: { database: Database; queue: Queue },
  refusal: string | undefined,
): Promise<Taken | undefined> {
  return database.transaction().execute(async (trx) => {
    const row = await nextDue(trx, 'github-actions');
    if (row === undefined) return undefined;
    if (row.dispatched_at !== null) return giveUp(trx, queue, row);
    if (refusal !== undefined) {
      await refuse(trx, row, { reason: refusal, leastSeconds: 0 });
      return { kind: 'refused', operation: row };
    }
    const operation = await openDispatch(trx, row, DISPATCH_SECONDS);
    return { kind: 'dispatch', operation };
  });
}

/** Settles a dispatched attempt that never reported as lost, and cancels its run if it is known. */
async function giveUp(trx: Transaction, queue: Queue, row: OperationRow): Promise<Taken> {
  const run = row.workflow_run_id === null ? '' : ` (workflow run ${row.workflow_run_id})`;
  const minutes = Math.round((Date.now() - row.dispatched_at!.getTime()) / 60_000);
  const reason = `No runner has begun attempt ${row.attempt}${run}, dispatched ${minutes} minutes ago`;
  await endWorkflowRun(trx, row.operation_id);
  await appendEvents(trx, row.operation_id, row.attempt, [
    { type: 'log', data: { line: reason, stream: 'service' } },
  ]);
  await settleLocked(trx, queue, row, { error: new LostError(reason), step: row.step ?? 'queued' });
  return { kind: 'given-up', operation: row, reason };
}

/**
 * Records that GitHub accepted the dispatch. `runId`: if GitHub's answer contains it. By now, a callback may
 * have begun the attempt, or the operation may have been cancelled.
 */
export async function confirmDispatch(
  database: Database,
  operation: OperationRow,
  runId: string | undefined,
): Promise<void> {
  await database.transaction().execute(async (trx) => {
    const confirmed = await trx
      .updateTable('operations')
      .set({
        run_after: sql`case status when 'queued' then now() + make_interval(secs => ${START_LIMIT_SECONDS}) else run_after end`,
        workflow_run_id: sql`coalesce(workflow_run_id, ${runId ?? null})`,
        error: sql`case when dispatch_failures > 0 then error_before_dispatch else error end`,
        error_before_dispatch: null,
        dispatch_failures: 0,
        updated_at: sql`now()`,
      })
      .where('operation_id', '=', operation.operation_id)
      .where('attempt', '=', operation.attempt)
      .where((where) => where.or([where('status', '=', 'active'), where('dispatched_at', 'is not', null)]))
      .returning('operation_id')
      .executeTakeFirst();
    if (confirmed !== undefined)
      await appendLog(trx, operation, `Dispatched to GitHub${runId ? `: workflow run ${runId}` : ''}`);
    else if (runId !== undefined) await endUnwantedRun(trx, { runId, operationId: operation.operation_id });
  });
}

/** Records that GitHub refused the dispatch or did not answer. The operation stays queued and is retried. */
export async function refuseDispatch(
  database: Database,
  operation: OperationRow,
  refusal: Refusal,
): Promise<void> {
  await database.transaction().execute(async (trx) => {
    const row = await trx
      .selectFrom('operations')
      .selectAll()
      .where('operation_id', '=', operation.operation_id)
      .where('attempt', '=', operation.attempt)
      .where('status', '=', 'queued')
      .where('dispatched_at', 'is not', null)
      .forNoKeyUpdate()
      .executeTakeFirst();
    // No row: a runner has begun the attempt after all.
    if (row !== undefined) await refuse(trx, row, refusal);
  });
}

export interface Refusal {
  reason: string;
  /** The shortest delay that GitHub asked for. */
  leastSeconds: number;
}

async function refuse(trx: Transaction, row: OperationRow, { leastSeconds, ...why }: Refusal): Promise<void> {
  const reason = cutText(why.reason, LONGEST_ERROR);
  const seconds = Math.max(BACKOFF_SECONDS[row.dispatch_failures] ?? LONGEST_BACKOFF_SECONDS, leastSeconds);
  await moveRefused(trx, row, { reason, seconds });
  const retryAt = new Date(Date.now() + seconds * 1000).toISOString();
  await appendEvents(trx, row.operation_id, row.attempt, [
    { type: 'log', data: { line: reason, stream: 'service' } },
    {
      type: 'status',
      data: { status: 'queued', attempt: row.attempt, error: reason, failedStep: 'dispatching', retryAt },
    },
  ]);
}

function appendLog(trx: Transaction, row: OperationRow, line: string): Promise<void> {
  return appendEvents(trx, row.operation_id, row.attempt, [
    { type: 'log', data: { line, stream: 'service' } },
  ]);
}
