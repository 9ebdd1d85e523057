import type { Database, Transaction } from '../database/connect.ts';
import { cutText } from '../database/storable.ts';
import { CancelledError, errorMessage, getFailureCode, LIMIT_REACHED, LostError } from '../errors.ts';
import { markAgentsProjectFull } from '../projects/placement.ts';
import type { Queue } from '../queue/queue.ts';
import { afterCancel } from './after-cancel.ts';
import type { AgentEffect } from './attempt.ts';
import { type Claim, lockClaim, type OperationRow } from './claims.ts';
import { afterLastFailure } from './consequences.ts';
import { applyEffect } from './effects.ts';
import { endSucceeded, followAfter, tellStatus } from './end.ts';
import { appendQueuedAgain } from './events/events.ts';
import { LONGEST_ERROR, LONGEST_STEP } from './lengths.ts';
import { findOperation } from './registry.ts';
import { retryPolicy, supplyDelay, waitCode } from './retry-policy.ts';
import {
  type Failure,
  markCancelled,
  markFailed,
  queueForSupply,
  queueNextTry,
  returnToQueue,
} from './transitions.ts';

interface SettleDeps {
  database: Database;
  queue: Queue;
  /** Pause after the first failed try; default `RETRY_SECONDS`. */
  retrySeconds?: number;
}

/** active → succeeded, with the effect on the agent. @throws LostError */
export async function succeed(
  { database, queue }: Pick<SettleDeps, 'database' | 'queue'>,
  claim: Claim,
  effect: AgentEffect,
): Promise<void> {
  await database.transaction().execute(async (trx) => {
    await succeedLocked(trx, queue, await lockClaim(trx, claim), effect);
  });
}

/**
 * Like succeed, for a row that the caller has locked.
 * @throws ConflictError if the agent's status does not allow the effect
 */
export async function succeedLocked(
  trx: Transaction,
  queue: Queue,
  row: OperationRow,
  effect: AgentEffect,
): Promise<void> {
  await applyEffect(trx, row, effect);
  const { agent_id: agentId, operation_id: operationId } = row;
  await findOperation(row.kind)?.followUp?.({ trx, queue, agentId, operationId });
  await endSucceeded(trx, queue, [row]);
}

const WORKER_STOPS = 'The worker is stopping; the operation is queued again.';

/**
 * active → queued without counting the try: the worker is shutting down, or its configuration is unusable.
 * `why` goes to the operation's log. If cancellation was requested, cancels the operation instead.
 * @throws LostError
 */
export async function handBack(
  { database, queue }: SettleDeps,
  claim: Claim,
  step: string,
  why = WORKER_STOPS,
): Promise<'queued' | 'cancelled'> {
  return database.transaction().execute(async (trx) => {
    const row = await lockUnlessCancelled(trx, queue, claim, step);
    if (row === undefined) return 'cancelled';
    await returnToQueue(trx, row);
    await appendQueuedAgain(trx, claim, { line: why });
    await queue.announce(trx, { operationId: row.operation_id, agentId: row.agent_id });
    await reconsider(trx, queue, row);
    return 'queued';
  });
}

/**
 * Locks an attempt that is to be queued again.
 * @returns undefined if it was cancelled instead, as requested
 */
async function lockUnlessCancelled(
  trx: Transaction,
  queue: Queue,
  claim: Claim,
  step: string,
): Promise<OperationRow | undefined> {
  const row = await lockClaim(trx, claim);
  if (!row.cancel_requested) return row;
  await settleLocked(trx, queue, row, { error: new CancelledError('Cancelled'), step });
  return undefined;
}

/**
 * Queues another try after a failure, or ends the operation. One that needs what is sold out waits for it.
 * @throws LostError
 */
export async function settleFailure(
  { database, queue, retrySeconds }: SettleDeps,
  claim: Claim,
  failure: { error: unknown; step: string },
): Promise<'queued' | 'failed' | 'cancelled'> {
  return database.transaction().execute(async (trx) => {
    const row = await lockClaim(trx, claim);
    return settleLocked(trx, queue, row, failure, retrySeconds);
  });
}

/**
 * Like settleFailure, for a row that the caller has locked: the operation's worker, or a process that found
 * that worker gone.
 */
export async function settleLocked(
  trx: Transaction,
  queue: Queue,
  row: OperationRow,
  { error, step }: { error: unknown; step: string },
  retrySeconds?: number,
): Promise<'queued' | 'failed' | 'cancelled'> {
  const failure = toFailure(row, error, step);
  if (failure.failure_code === LIMIT_REACHED) await markAgentsProjectFull(trx, row.agent_id);
  const tries = { retryCount: row.retry_count, maxRetries: row.max_retries, lostCount: row.lost_count };
  // After a cancellation request, any failure of the attempt ends the operation.
  const decision = row.cancel_requested
    ? ({ kind: 'cancelled' } as const)
    : retryPolicy(error, tries, retrySeconds);
  switch (decision.kind) {
    case 'cancelled':
      return endCancelled(trx, queue, row, failure.failed_step);
    case 'give-up':
      return endFailed(trx, queue, row, failure);
    case 'await-supply':
      return awaitSupply(trx, queue, row, { error, reason: failure.error, retrySeconds });
    case 'retry':
    case 'repeat':
      return tryAgain(trx, queue, row, { failure, delaySeconds: decision.delaySeconds });
  }
}

type DescribedFailure = Failure & { error: string; failed_step: string };

/** Cuts texts from vendors, machines and runners to the lengths of the columns. */
function toFailure(row: OperationRow, error: unknown, step: string): DescribedFailure {
  // A lost try never counts as failed, not even the last one.
  const isLost = error instanceof LostError;
  return {
    error: cutText(errorMessage(error), LONGEST_ERROR),
    failed_step: cutText(step, LONGEST_STEP),
    failure_code: getFailureCode(error) ?? keptCode(row),
    retry_count: isLost ? row.retry_count : Math.min(row.retry_count + 1, row.max_retries),
    lost_count: isLost ? row.lost_count + 1 : row.lost_count,
  };
}

/**
 * An attempt that no runner began says nothing about the one before it: its error comes back with the next
 * dispatch, and so must its code.
 */
function keptCode(row: OperationRow): string | null {
  return row.status === 'queued' && row.dispatch_failures > 0 ? row.failure_code : null;
}

async function endCancelled(
  trx: Transaction,
  queue: Queue,
  row: OperationRow,
  step: string,
): Promise<'cancelled'> {
  await markCancelled(trx, row, step);
  await afterCancel(trx, queue, row);
  await tellStatus(trx, row, { status: 'cancelled', attempt: row.attempt });
  await followAfter(trx, queue, row);
  return 'cancelled';
}

async function endFailed(
  trx: Transaction,
  queue: Queue,
  row: OperationRow,
  failure: DescribedFailure,
): Promise<'failed'> {
  const { error, failed_step: failedStep } = failure;
  await markFailed(trx, row, failure);
  await afterLastFailure(trx, queue, row, { error, step: failedStep });
  await tellStatus(trx, row, { status: 'failed', attempt: row.attempt, error, failedStep });
  await followAfter(trx, queue, row);
  return 'failed';
}

async function tryAgain(
  trx: Transaction,
  queue: Queue,
  row: OperationRow,
  { failure, delaySeconds }: { failure: DescribedFailure; delaySeconds: number },
): Promise<'queued'> {
  const { error, failed_step: failedStep } = failure;
  await queueNextTry(trx, row, { failure, delaySeconds });
  const startAfter = new Date(Date.now() + delaySeconds * 1000);
  const retryAt = startAfter.toISOString();
  await tellStatus(trx, row, { status: 'queued', attempt: row.attempt, error, failedStep, retryAt });
  await queue.announce(trx, { operationId: row.operation_id, agentId: row.agent_id, startAfter });
  await reconsider(trx, queue, row);
  return 'queued';
}

/**
 * Queues an operation again without counting the try: what it needs is sold out. The row says so until it is
 * tried again.
 */
async function awaitSupply(
  trx: Transaction,
  queue: Queue,
  row: OperationRow,
  { error, reason, retrySeconds }: { error: unknown; reason: string; retrySeconds: number | undefined },
): Promise<'queued'> {
  const earlierWaits = row.attempt - 1 - row.retry_count - row.lost_count;
  // The place that it wanted has become free before it could wait for it.
  const isFreed = row.room === 'freed';
  const seconds = isFreed ? 0 : supplyDelay(earlierWaits, retrySeconds);
  await queueForSupply(trx, row, { reason, code: waitCode(row, error), seconds });
  const { operation_id: operationId, agent_id: agentId, attempt } = row;
  await appendQueuedAgain(trx, { operationId, attempt }, { line: reason, error: reason });
  if (isFreed) await queue.announce(trx, { operationId, agentId });
  // A hold may have waited for the end of this attempt.
  await followAfter(trx, queue, row);
  return 'queued';
}

/** Ends an operation that is queued again if the agent's holds no longer demand it. */
async function reconsider(trx: Transaction, queue: Queue, row: OperationRow): Promise<void> {
  if (findOperation(row.kind)?.followsHolds) await followAfter(trx, queue, row);
}
