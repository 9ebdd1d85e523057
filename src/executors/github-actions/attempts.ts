import { sql } from 'kysely';
import type { Transaction } from '../../database/connect.ts';
import { ConflictError, NotFoundError } from '../../errors.ts';
import { beginOperation, type OperationRow } from '../../operations/claims.ts';
import { appendEvents } from '../../operations/events/events.ts';
import { lockOperation } from '../../operations/requests.ts';
import { RUNNER_SILENT_SECONDS } from '../../operations/states.ts';
import { beginOnRunner } from '../../operations/transitions.ts';
import type { Secret } from '../../secret.ts';
import { isAttemptToken } from './callback-signature.ts';

/** Who a message says it is from. */
export interface Sender {
  jobId: string;
  workflowRunId?: string | undefined;
  /** Names the attempt; a runner that has none speaks for the current one. */
  token?: string | undefined;
}

/**
 * Where an operation stands for a runner: its attempt may report (`open`: under way, or dispatched); it waits
 * for one to be made (`waiting`); it has ended (`over`).
 */
export type Standing = 'open' | 'waiting' | 'over';

export function standingOf(row: OperationRow): Standing {
  if (row.status === 'active') return 'open';
  if (row.status !== 'queued') return 'over';
  return row.dispatched_at === null ? 'waiting' : 'open';
}

const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/**
 * The operation that a message is about, locked with its agent.
 * @throws NotFoundError; ConflictError where this service carries it out itself, or the sender is of another
 * attempt.
 */
export async function lockFor(
  trx: Transaction,
  callbackSecret: Secret,
  sender: Sender,
): Promise<OperationRow> {
  if (!UUID.test(sender.jobId)) throw new NotFoundError('There is no such job');
  const { operation } = await lockOperation(trx, sender.jobId);
  if (operation.executor !== 'github-actions')
    throw new ConflictError(`Job ${sender.jobId} is carried out by this service itself`);
  const name = { operationId: operation.operation_id, attempt: operation.attempt };
  if (sender.token !== undefined && !isAttemptToken(callbackSecret, name, sender.token))
    throw new ConflictError('The callback is of another attempt');
  const known = operation.workflow_run_id;
  if (standingOf(operation) !== 'waiting' && isOther(sender.workflowRunId, known))
    throw new ConflictError(`Workflow run ${known} carries this job out`);
  return operation;
}

const isOther = (given: string | undefined, known: string | null) =>
  given !== undefined && known !== null && given !== known;

/**
 * Makes the attempt that a runner speaks for the active one, unless it is. A dispatched attempt begins with
 * whatever is heard of it first. Without a dispatch a runner may begin the first attempt, and with
 * `provisioning` a further one.
 * @throws ConflictError where the attempt is over, or the agent's state does not allow it to begin.
 */
export async function ensureBegun(
  trx: Transaction,
  row: OperationRow,
  sender: Sender,
  { mayBeginAnew }: { mayBeginAnew: boolean },
): Promise<OperationRow> {
  const standing = standingOf(row);
  if (standing === 'over') throw new ConflictError(`Job ${row.operation_id} has ended: ${row.status}`);
  if (row.status === 'active') return sender.workflowRunId ? noteRun(trx, row, sender.workflowRunId) : row;
  if (standing === 'waiting') refuseLate(row, sender, mayBeginAnew);
  return begin(trx, row, sender, standing === 'waiting' ? row.attempt + 1 : row.attempt);
}

/** A run whose attempt is over does not begin the next one. */
function refuseLate(row: OperationRow, { token, workflowRunId }: Sender, mayBeginAnew: boolean): void {
  const isEndedRun = workflowRunId !== undefined && workflowRunId === row.workflow_run_id;
  const mayBegin = token === undefined && (row.attempt === 0 || (mayBeginAnew && !isEndedRun));
  if (!mayBegin) throw new ConflictError(`Attempt ${row.attempt} of job ${row.operation_id} is over`);
}

async function noteRun(trx: Transaction, row: OperationRow, runId: string): Promise<OperationRow> {
  if (row.workflow_run_id !== null) return row;
  return trx
    .updateTable('operations')
    .set({ workflow_run_id: runId, updated_at: sql`now()` })
    .where('operation_id', '=', row.operation_id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

async function begin(
  trx: Transaction,
  row: OperationRow,
  { workflowRunId }: Sender,
  attempt: number,
): Promise<OperationRow> {
  await refuseOutOfTurn(trx, row);
  await beginOperation(trx, row);
  const known = attempt === row.attempt ? row.workflow_run_id : null;
  const begun = await beginOnRunner(trx, row, {
    attempt,
    workflowRunId: workflowRunId ?? known,
    leaseSeconds: RUNNER_SILENT_SECONDS,
  });
  await appendEvents(trx, row.operation_id, attempt, [
    { type: 'status', data: { status: 'active', attempt } },
  ]);
  return begun;
}

/**
 * One operation per agent at a time, in order; the agent's row is locked, so nothing changes under this look.
 */
async function refuseOutOfTurn(trx: Transaction, row: OperationRow): Promise<void> {
  const before = await trx
    .selectFrom('operations')
    .select(['operation_id', 'kind'])
    .where('agent_id', '=', row.agent_id)
    .where('operation_id', '<>', row.operation_id)
    .where((where) =>
      where.or([
        where('status', '=', 'active'),
        where.and([where('status', '=', 'queued'), where('sequence', '<', row.sequence)]),
      ]),
    )
    .executeTakeFirst();
  if (before !== undefined)
    throw new ConflictError(`The ${before.kind} ${before.operation_id} of this agent comes first`);
}

const leaseEnd = sql<Date>`now() + make_interval(secs => ${RUNNER_SILENT_SECONDS})`;

/** A sign of life of the active attempt. */
export async function beat(trx: Transaction, row: OperationRow): Promise<void> {
  await trx
    .updateTable('operations')
    .set({ last_heartbeat_at: sql`now()`, lease_until: leaseEnd, updated_at: sql`now()` })
    .where('operation_id', '=', row.operation_id)
    .where('attempt', '=', row.attempt)
    .where('status', '=', 'active')
    .execute();
}
