import { sql } from 'kysely';
import type { Database, Transaction } from '../database/connect.ts';
import { cutText } from '../database/storable.ts';
import { CancelledError, errorMessage, LostError } from '../errors.ts';
import type { Queue } from '../queue/queue.ts';
import { type Claim, lockClaim, type OperationRow } from './claims.ts';
import { afterCancel, afterLastFailure } from './consequences.ts';
import { type AgentEffect, applyEffect } from './effects.ts';
import { appendEvents } from './events/events.ts';
import { chosenExecutor } from './executor-choice.ts';
import { LONGEST_ERROR, LONGEST_STEP } from './lengths.ts';
import { decide } from './retry-policy.ts';

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

/** The same for an operation whose row is already locked. @throws ConflictError where the agent's state does not allow the effect */
export async function succeedLocked(trx: Transaction, row: OperationRow, effect: AgentEffect): Promise<void> {
  const claim = claimOf(row);
  await applyEffect(trx, row.agent_id, effect);
  await close(trx, claim, { status: 'succeeded', error: null, failed_step: null });
  await appendEvents(trx, claim.operationId, claim.attempt, [
    { type: 'step', data: { step: 'finished' } },
    { type: 'status', data: { status: 'succeeded', attempt: claim.attempt } },
  ]);
}

function claimOf(row: OperationRow): Claim {
  return { operationId: row.operation_id, attempt: row.attempt, workerId: row.worker_id ?? '' };
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
    await requeue(trx, claim, { delaySeconds: 0 });
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

/** What a try that did not succeed leads to: another try later, or the end of the operation. @throws LostError */
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

/** The same for an operation whose row is already locked, by its own worker or by who finds the worker gone. */
export async function settleLocked(
  trx: Transaction,
  queue: Queue,
  row: OperationRow,
  failed: { error: unknown; step: string },
  retrySeconds?: number,
): Promise<'queued' | 'failed' | 'cancelled'> {
  const claim = claimOf(row);
  // Whatever a vendor, a machine or a runner said: a failure must be possible to write down.
  const failure = { error: failed.error, step: cutText(failed.step, LONGEST_STEP) };
  const error = cutText(errorMessage(failure.error), LONGEST_ERROR);
  const tries = { retryCount: row.retry_count, maxRetries: row.max_retries, lostCount: row.lost_count };
  // Once a person has asked for the end, whatever the attempt says is the end.
  const decision = row.cancel_requested
    ? ({ kind: 'cancelled' } as const)
    : decide(failure.error, tries, retrySeconds);
  switch (decision.kind) {
    case 'cancelled':
      await close(trx, claim, { status: 'cancelled', error: 'Cancelled', failed_step: failure.step });
      await afterCancel(trx, queue, row);
      await tellStatus(trx, claim, { status: 'cancelled', attempt: row.attempt });
      return 'cancelled';
    case 'give-up':
      await close(trx, claim, {
        status: 'failed',
        error,
        failed_step: failure.step,
        // A lost try is not a failed one, not even the last.
        ...(failure.error instanceof LostError
          ? { lost_count: row.lost_count + 1 }
          : { retry_count: Math.min(row.retry_count + 1, row.max_retries) }),
      });
      await afterLastFailure(trx, queue, row, { error, step: failure.step });
      await tellStatus(trx, claim, {
        status: 'failed',
        attempt: row.attempt,
        error,
        failedStep: failure.step,
      });
      return 'failed';
    case 'retry':
    case 'repeat': {
      const counts =
        decision.kind === 'retry' ? { retry_count: row.retry_count + 1 } : { lost_count: row.lost_count + 1 };
      await requeue(trx, claim, {
        delaySeconds: decision.delaySeconds,
        error,
        failed_step: failure.step,
        ...counts,
      });
      const retryAt = new Date(Date.now() + decision.delaySeconds * 1000);
      await tellStatus(trx, claim, {
        status: 'queued',
        attempt: row.attempt,
        error,
        failedStep: failure.step,
        retryAt: retryAt.toISOString(),
      });
      await queue.announce(trx, {
        operationId: row.operation_id,
        agentId: row.agent_id,
        startAfter: retryAt,
      });
      return 'queued';
    }
  }
}

interface Ending {
  status: 'succeeded' | 'failed' | 'cancelled';
  error: string | null;
  failed_step: string | null;
  retry_count?: number;
  lost_count?: number;
}

async function close(trx: Transaction, claim: Claim, ending: Ending): Promise<void> {
  await trx
    .updateTable('operations')
    .set({
      ...ending,
      worker_id: null,
      lease_until: null,
      dispatched_at: null,
      finished_at: sql`clock_timestamp()`,
      updated_at: sql`now()`,
    })
    .where('operation_id', '=', claim.operationId)
    .where('attempt', '=', claim.attempt)
    .execute();
}

interface Requeue {
  delaySeconds: number;
  error?: string;
  failed_step?: string;
  retry_count?: number;
  lost_count?: number;
}

async function requeue(trx: Transaction, claim: Claim, { delaySeconds, ...columns }: Requeue): Promise<void> {
  await trx
    .updateTable('operations')
    .set({
      ...columns,
      status: 'queued',
      executor: chosenExecutor,
      worker_id: null,
      lease_until: null,
      dispatched_at: null,
      run_after: sql`now() + make_interval(secs => ${delaySeconds})`,
      updated_at: sql`now()`,
    })
    .where('operation_id', '=', claim.operationId)
    .where('attempt', '=', claim.attempt)
    .execute();
}

async function tellStatus(
  trx: Transaction,
  claim: Claim,
  data: Extract<import('./events/events.ts').OperationEvent, { type: 'status' }>['data'],
): Promise<void> {
  // Every ending ends the step that was under way: the time until somebody asks for a retry is not that step's.
  const step = data.status === 'queued' ? 'waiting_to_retry' : 'finished';
  await appendEvents(trx, claim.operationId, claim.attempt, [
    { type: 'step', data: { step } },
    { type: 'status', data },
  ]);
}
