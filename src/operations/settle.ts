import type { Database, Transaction } from '../database/connect.ts';
import { cutText } from '../database/storable.ts';
import { CancelledError, errorMessage, getFailureCode, LostError } from '../errors.ts';
import type { Queue } from '../queue/queue.ts';
import type { AgentEffect } from './attempt.ts';
import { type Claim, lockClaim, type OperationRow } from './claims.ts';
import { afterCancel, afterLastFailure } from './consequences.ts';
import { applyEffect } from './effects.ts';
import { appendEvents, type OperationEvent } from './events/events.ts';
import { LONGEST_ERROR, LONGEST_STEP } from './lengths.ts';
import { retryPolicy } from './retry-policy.ts';
import {
  type Failure,
  markCancelled,
  markFailed,
  markSucceeded,
  queueNextTry,
  returnToQueue,
} from './transitions.ts';

interface SettleDeps {
  database: Database;
  queue: Queue;
  /** Pause after the first failed try; default `RETRY_SECONDS`. */
  retrySeconds?: number;
}

/** active → succeeded, together with what it means for the agent. @throws LostError */
export async function succeed(database: Database, claim: Claim, effect: AgentEffect): Promise<void> {
  await database.transaction().execute(async (trx) => {
    await succeedLocked(trx, await lockClaim(trx, claim), effect);
  });
}

/**
 * The same for an operation whose row is already locked.
 * @throws ConflictError where the agent's state does not allow the effect
 */
export async function succeedLocked(trx: Transaction, row: OperationRow, effect: AgentEffect): Promise<void> {
  await applyEffect(trx, row, effect);
  await markSucceeded(trx, row);
  await tellStatus(trx, row, { status: 'succeeded', attempt: row.attempt });
}

const WORKER_STOPS = 'The worker is stopping; the operation will be taken up again.';

/**
 * active → queued without counting: the worker is going away in good order, or cannot work as it is
 * configured, and hands the operation back; `why` is for its log. One that a person has asked to end is
 * cancelled instead: nobody should take it up again.
 * @throws LostError
 */
export async function handBack(
  { database, queue }: SettleDeps,
  claim: Claim,
  step: string,
  why = WORKER_STOPS,
): Promise<'queued' | 'cancelled'> {
  return database.transaction().execute(async (trx) => {
    const row = await lockClaim(trx, claim);
    if (row.cancel_requested) {
      await settleLocked(trx, queue, row, { error: new CancelledError('Cancelled'), step });
      return 'cancelled';
    }
    await returnToQueue(trx, row);
    await appendEvents(trx, claim.operationId, claim.attempt, [
      {
        type: 'log',
        data: { line: why, stream: 'service' },
      },
      { type: 'step', data: { step: 'queued' } },
      { type: 'status', data: { status: 'queued', attempt: claim.attempt } },
    ]);
    await queue.announce(trx, { operationId: row.operation_id, agentId: row.agent_id });
    return 'queued';
  });
}

/**
 * What a try that did not succeed leads to: another try later, or the end of the operation. @throws LostError
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
 * The same for an operation whose row is already locked, by its own worker or by whoever finds that one gone.
 */
export async function settleLocked(
  trx: Transaction,
  queue: Queue,
  row: OperationRow,
  { error, step }: { error: unknown; step: string },
  retrySeconds?: number,
): Promise<'queued' | 'failed' | 'cancelled'> {
  const failure = toFailure(row, error, step);
  const tries = { retryCount: row.retry_count, maxRetries: row.max_retries, lostCount: row.lost_count };
  // Once a person has asked for the end, whatever the attempt says is the end.
  const decision = row.cancel_requested
    ? ({ kind: 'cancelled' } as const)
    : retryPolicy(error, tries, retrySeconds);
  switch (decision.kind) {
    case 'cancelled':
      return endCancelled(trx, queue, row, failure.failed_step);
    case 'give-up':
      return endFailed(trx, queue, row, failure);
    case 'retry':
    case 'repeat':
      return tryAgain(trx, queue, row, { failure, delaySeconds: decision.delaySeconds });
  }
}

type SaidFailure = Failure & { error: string; failed_step: string };

/** Cut to what the columns hold, whatever a vendor, a machine or a runner said. */
function toFailure(row: OperationRow, error: unknown, step: string): SaidFailure {
  // A lost try is not a failed one, not even the last.
  const isLost = error instanceof LostError;
  return {
    error: cutText(errorMessage(error), LONGEST_ERROR),
    failed_step: cutText(step, LONGEST_STEP),
    failure_code: getFailureCode(error) ?? null,
    retry_count: isLost ? row.retry_count : Math.min(row.retry_count + 1, row.max_retries),
    lost_count: isLost ? row.lost_count + 1 : row.lost_count,
  };
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
  return 'cancelled';
}

async function endFailed(
  trx: Transaction,
  queue: Queue,
  row: OperationRow,
  failure: SaidFailure,
): Promise<'failed'> {
  const { error, failed_step: failedStep } = failure;
  await markFailed(trx, row, failure);
  await afterLastFailure(trx, queue, row, { error, step: failedStep });
  await tellStatus(trx, row, { status: 'failed', attempt: row.attempt, error, failedStep });
  return 'failed';
}

async function tryAgain(
  trx: Transaction,
  queue: Queue,
  row: OperationRow,
  { failure, delaySeconds }: { failure: SaidFailure; delaySeconds: number },
): Promise<'queued'> {
  const { error, failed_step: failedStep } = failure;
  await queueNextTry(trx, row, { failure, delaySeconds });
  const startAfter = new Date(Date.now() + delaySeconds * 1000);
  const retryAt = startAfter.toISOString();
  await tellStatus(trx, row, { status: 'queued', attempt: row.attempt, error, failedStep, retryAt });
  await queue.announce(trx, { operationId: row.operation_id, agentId: row.agent_id, startAfter });
  return 'queued';
}

type StatusEvent = Extract<OperationEvent, { type: 'status' }>;

async function tellStatus(trx: Transaction, row: OperationRow, data: StatusEvent['data']): Promise<void> {
  // Every ending ends the step that was under way: the time until somebody asks for a retry is not that
  // step's.
  const step = data.status === 'queued' ? 'waiting_to_retry' : 'finished';
  await appendEvents(trx, row.operation_id, row.attempt, [
    { type: 'step', data: { step } },
    { type: 'status', data },
  ]);
}
