import { sql } from 'kysely';
import type { Transaction } from '../../database/connect.ts';
import { isRecovering } from '../../database/recovering.ts';
import { ConflictError, NotFoundError, RetryableError } from '../../errors.ts';
import { beginOperation, type OperationRow, waitsForNews } from '../../operations/claims.ts';
import { appendEvents } from '../../operations/events/events.ts';
import { isPassedBy } from '../../operations/give-way.ts';
import { lockOperation } from '../../operations/requests.ts';
import { RUNNER_SILENT_SECONDS } from '../../operations/states.ts';
import { beginOnRunner } from '../../operations/transitions.ts';
import type { Secret } from '../../secret.ts';
import { giveSlotUp } from '../../slots/claimed.ts';
import { isAttemptToken } from './callback-signature.ts';

/** The sender that a message names. */
export interface Sender {
  jobId: string;
  workflowRunId?: string | undefined;
  /** Identifies the attempt; without it, the message counts for the current one. */
  token?: string | undefined;
}

/**
 * An operation's standing for runners. `open`: its attempt is active or dispatched and may report. `waiting`:
 * its next attempt has not been dispatched. `over`: the operation has ended.
 */
export type Standing = 'open' | 'waiting' | 'over';

export function getStanding(row: OperationRow): Standing {
  if (row.status === 'active') return 'open';
  if (row.status !== 'queued') return 'over';
  return row.dispatched_at === null ? 'waiting' : 'open';
}

const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/**
 * Locks a message's operation and its agent.
 * @throws NotFoundError
 * @throws ConflictError if a local worker runs the operation, or the sender belongs to another attempt
 */
export async function lockFor(
  trx: Transaction,
  callbackSecret: Secret,
  sender: Sender,
): Promise<OperationRow> {
  if (!UUID.test(sender.jobId)) throw new NotFoundError('No such job');
  const { operation } = await lockOperation(trx, sender.jobId);
  if (operation.executor !== 'github-actions')
    throw new ConflictError(`Job ${sender.jobId} is run by this service itself`);
  const name = { operationId: operation.operation_id, attempt: operation.attempt };
  if (sender.token !== undefined && !isAttemptToken(callbackSecret, name, sender.token))
    throw new ConflictError('The callback belongs to another attempt');
  const known = operation.workflow_run_id;
  if (getStanding(operation) !== 'waiting' && isOther(sender.workflowRunId, known))
    throw new ConflictError(`This job belongs to workflow run ${known}`);
  return operation;
}

const isOther = (given: string | undefined, known: string | null) =>
  given !== undefined && known !== null && given !== known;

/**
 * Begins the sender's attempt unless it is already active. The first message of any kind begins a dispatched
 * attempt. Without a dispatch, any message may begin the first attempt, but only `provisioning` or a claim
 * may begin a later one. `isEnd`: it has come to its end already, so nothing can wait any more.
 * @throws RetryableError if an event about the agent's payments has to be read first, or the rows of a
 * restored database have to be corrected
 * @throws ConflictError if the attempt is over, or the agent's status does not allow it to begin
 */
export async function ensureBegun(
  trx: Transaction,
  row: OperationRow,
  sender: Sender,
  { mayBeginNext, isEnd = false }: { mayBeginNext: boolean; isEnd?: boolean },
): Promise<OperationRow> {
  const standing = getStanding(row);
  if (standing === 'over') throw new ConflictError(`Job ${row.operation_id} has ended: ${row.status}`);
  if (row.status === 'active') return sender.workflowRunId ? recordRun(trx, row, sender.workflowRunId) : row;
  if (standing === 'waiting') refuseLate(row, sender, mayBeginNext);
  if (!isEnd) await refuseBeforeNews(trx, row);
  return begin(trx, row, sender, standing === 'waiting' ? row.attempt + 1 : row.attempt);
}

/** @throws ConflictError if the sender's attempt is over: its run must not begin the next one */
function refuseLate(row: OperationRow, { token, workflowRunId }: Sender, mayBeginNext: boolean): void {
  const isEndedRun = workflowRunId !== undefined && workflowRunId === row.workflow_run_id;
  const mayBegin = token === undefined && (row.attempt === 0 || (mayBeginNext && !isEndedRun));
  if (!mayBegin) throw new ConflictError(`Attempt ${row.attempt} of job ${row.operation_id} is over`);
}

/** An event may have come between the dispatch and the beginning. @throws RetryableError */
async function refuseBeforeNews(trx: Transaction, row: OperationRow): Promise<void> {
  const waiting = await trx
    .selectFrom('operations as o')
    .select('o.operation_id')
    .where('o.operation_id', '=', row.operation_id)
    .where(waitsForNews)
    .executeTakeFirst();
  if (waiting !== undefined) throw new RetryableError('What an event means for the agent is not read yet');
}

async function recordRun(trx: Transaction, row: OperationRow, runId: string): Promise<OperationRow> {
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
  if (await isRecovering(trx))
    throw new RetryableError('Nothing begins before it is known again what belongs to whom');
  await refuseOutOfTurn(trx, row);
  // Before the runner gets the agent's inputs: those of a half hand-over name the slot's server.
  if (row.kind === 'provision') await giveSlotUp(trx, row.agent_id, 'a runner hands none over');
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
 * Keeps an agent's operations in order, one at a time. The agent's row is locked, so none can begin now.
 * @throws ConflictError if another operation comes first
 */
async function refuseOutOfTurn(trx: Transaction, row: OperationRow): Promise<void> {
  const justWaits = isPassedBy('operations', sql`${row.kind}::text`);
  const before = await trx
    .selectFrom('operations')
    .select(['operation_id', 'kind'])
    .where('agent_id', '=', row.agent_id)
    .where('operation_id', '<>', row.operation_id)
    .where((where) =>
      where.or([
        where('status', '=', 'active'),
        where.and([
          where('status', '=', 'queued'),
          where('sequence', '<', row.sequence),
          sql<boolean>`not ${justWaits}`,
        ]),
      ]),
    )
    .executeTakeFirst();
  if (before !== undefined)
    throw new ConflictError(`The ${before.kind} ${before.operation_id} of this agent comes first`);
}

const leaseEnd = sql<Date>`now() + make_interval(secs => ${RUNNER_SILENT_SECONDS})`;

/** Records a heartbeat of the active attempt and extends its lease. */
export async function beat(trx: Transaction, row: OperationRow): Promise<void> {
  await trx
    .updateTable('operations')
    .set({ last_heartbeat_at: sql`now()`, lease_until: leaseEnd, updated_at: sql`now()` })
    .where('operation_id', '=', row.operation_id)
    .where('attempt', '=', row.attempt)
    .where('status', '=', 'active')
    .execute();
}
