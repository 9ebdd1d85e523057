import { setTimeout as sleep } from 'node:timers/promises';
import { getAgentForOperation } from '../../agents/for-operation.ts';
import { type Database, isDatabaseUnavailable } from '../../database/connect.ts';
import { cutText } from '../../database/storable.ts';
import { CancelledError, errorMessage, LostError, RateLimitedError, RetryableError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { AgentEffect, Runbooks } from '../../operations/attempt.ts';
import { type Claim, type OperationRow, renewLease } from '../../operations/claims.ts';
import { LONGEST_LINE } from '../../operations/lengths.ts';
import { limitSeconds } from '../../operations/registry.ts';
import { runbookFor } from '../../operations/runbooks.ts';
import { handBack, settleFailure, succeed } from '../../operations/settle.ts';
import { LEASE_SECONDS, type OperationKind } from '../../operations/states.ts';
import { Lease, type LeaseTimes, leaseTimes } from '../../processes/lease.ts';
import type { Fence } from '../../pulumi/fence.ts';
import type { Queue } from '../../queue/queue.ts';
import type { Readiness } from './readiness.ts';
import { createRecorder, type Recorder } from './recorder.ts';

export interface AttemptDeps {
  database: Database;
  queue: Queue;
  runbooks: Runbooks;
  fence: Fence;
  /** How long a lease lasts; default `LEASE_SECONDS`. */
  leaseSeconds?: number;
  /** Pause after the first failed try; default `RETRY_SECONDS`. */
  retrySeconds?: number;
  /** How long an operation may take; default: what its definition says. */
  limitSeconds?: Partial<Record<OperationKind, number>>;
  /** Whether what is configured works; undefined where that cannot be wrong. */
  readiness?: Readiness | undefined;
  log: Log;
}

/** The worker is going away in good order: attempts under way are handed back. */
export class StoppingError extends Error {
  override name = 'StoppingError';
}

/**
 * Carries out one attempt: heartbeats keep the lease, the runbook does the work, and whatever comes of it is settled under
 * the attempt's number. Never throws; an attempt that was lost has nothing left to write.
 */
export async function carryOut(
  deps: AttemptDeps,
  operation: OperationRow,
  workerId: string,
  stopping: AbortSignal,
): Promise<void> {
  const claim: Claim = { operationId: operation.operation_id, attempt: operation.attempt, workerId };
  const ids = {
    operationId: claim.operationId,
    agentId: operation.agent_id,
    kind: operation.kind,
    attempt: claim.attempt,
  };
  const controller = new AbortController();
  const times = leaseTimes(deps.leaseSeconds ?? LEASE_SECONDS);
  const lease = new Lease(leaseEnd(times));
  const onError = (error: unknown) => error instanceof LostError && controller.abort(error);
  const recorder = createRecorder(
    deps.database,
    { claim, agentId: operation.agent_id, kind: operation.kind },
    onError,
  );
  const stopWatching = watch({ deps, claim, operation, controller, lease, times, recorder, stopping });
  deps.log.info({ event: 'attempt.begins', ...ids }, `${operation.kind} of ${operation.agent_id} begins`);
  try {
    const outcome = await work(deps, { operation, lease, recorder, signal: controller.signal, claim });
    deps.log.info(
      { event: 'attempt.ends', ...ids, outcome: outcome.status, error: outcome.error },
      `${operation.kind} of ${operation.agent_id}: ${outcome.status}`,
    );
  } catch (error) {
    deps.log.warn(
      { event: 'attempt.lost', ...ids, error: errorMessage(error) },
      `${operation.kind} of ${operation.agent_id} is no longer ours`,
    );
  } finally {
    stopWatching();
  }
}

interface Work {
  operation: OperationRow;
  claim: Claim;
  lease: Lease;
  recorder: Recorder;
  signal: AbortSignal;
}

async function work(
  deps: AttemptDeps,
  { operation, claim, lease, recorder, signal }: Work,
): Promise<{ status: string; error?: string }> {
  try {
    const effect = await followRunbook(deps, { operation, claim, lease, recorder, signal });
    signal.throwIfAborted();
    await recorder.close();
    await persist(lease, () => succeed(deps.database, claim, effect));
    return { status: 'succeeded' };
  } catch (thrown) {
    const error = signal.aborted ? signal.reason : ours(thrown);
    if (error instanceof LostError && signal.aborted) throw error;
    await recorder.close();
    if (error instanceof StoppingError) {
      const status = await persist(lease, () => handBack(deps, claim, recorder.currentStep));
      return { status: status === 'queued' ? 'handed back' : status };
    }
    const waitsFor = await blameOf(deps, operation, error);
    if (waitsFor !== undefined) {
      const why = `${cutText(errorMessage(error), LONGEST_LINE)}\n${waitsFor}`;
      const status = await persist(lease, () => handBack(deps, claim, recorder.currentStep, why));
      return { status, error: errorMessage(error) };
    }
    const status = await persist(lease, () =>
      settleFailure(deps, claim, { error, step: recorder.currentStep }),
    );
    return { status, error: errorMessage(error) };
  }
}

/** Tries that counted neither as failed nor as lost: beyond this many, it is not the configuration alone that is to blame. */
const MOST_UNCOUNTED = 20;

/**
 * Where the configuration is to blame for a failure, the operation has not failed: it waits until that is
 * mended. A cloud that asks to be left alone knows its caller; asking it at once whether all is well would
 * only spend more of the quota.
 */
async function blameOf(
  { readiness }: AttemptDeps,
  { kind, attempt, retry_count: failed, lost_count: lost }: OperationRow,
  error: unknown,
): Promise<string | undefined> {
  const saysNothing = [CancelledError, LostError, RateLimitedError].some((Class) => error instanceof Class);
  if (readiness === undefined || saysNothing || attempt - failed - lost > MOST_UNCOUNTED) return undefined;
  await readiness.recheck();
  return readiness.waitReason(kind);
}

/** A database that went away under the runbook says nothing against the operation: the try is lost, not failed. */
function ours(thrown: unknown): unknown {
  if (!isDatabaseUnavailable(thrown)) return thrown;
  return new LostError(`The database went away: ${errorMessage(thrown)}`, { cause: thrown });
}

/** Lets the attempt into Pulumi's state, earlier ones being put out, and does what the operation's runbook says. */
async function followRunbook(
  deps: AttemptDeps,
  { operation, claim, lease, recorder, signal }: Work,
): Promise<AgentEffect> {
  const agent = await getAgentForOperation(deps.database, operation.agent_id);
  const runbook = runbookFor(deps.runbooks, operation, agent);
  const entry = await deps.fence.enter({ agentId: agent.agent_id, ...claim });
  try {
    // Ended meanwhile: an abort that is past wakes nobody who waits for one.
    signal.throwIfAborted();
    const { step, log } = recorder;
    return await runbook({ operation, agent, signal, lease, backendUrl: entry.backendUrl, step, log });
  } finally {
    // Of a destroyed agent there will be no other attempt to close it.
    await persist(lease, () => entry.leave()).catch((error: unknown) =>
      deps.log.warn(
        { event: 'fence.leave', error: errorMessage(error) },
        'a login of Pulumi’s state stays until the next attempt',
      ),
    );
  }
}

/** What has been done must be written down: while the database is away and the lease holds, it is tried again. */
async function persist<T>(lease: Lease, write: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await write();
    } catch (error) {
      if (!isDatabaseUnavailable(error) || Date.now() > lease.until) throw error;
      await sleep(500);
    }
  }
}

/** By when everything of an attempt that renews its lease now must have ended, if it cannot renew it again. */
function leaseEnd({ leaseSeconds, safetySeconds }: LeaseTimes): number {
  return Date.now() + (leaseSeconds - safetySeconds) * 1000;
}

interface Watch {
  deps: AttemptDeps;
  claim: Claim;
  operation: OperationRow;
  controller: AbortController;
  lease: Lease;
  times: LeaseTimes;
  recorder: Recorder;
  stopping: AbortSignal;
}

/** Keeps the lease, and aborts the attempt when it is lost, cancelled, too long, or the worker stops. */
function watch({ deps, claim, operation, controller, lease, times, recorder, stopping }: Watch): () => void {
  const beat = async () => {
    // A worker that was stopped and continued must not make a lease longer that it has not kept.
    if (Date.now() > lease.until) {
      controller.abort(new LostError('The lease ran out'));
      return;
    }
    const end = leaseEnd(times);
    try {
      const { cancelRequested } = await renewLease(deps.database, claim, times.leaseSeconds);
      lease.renew(end);
      if (cancelRequested) controller.abort(new CancelledError('Cancelled'));
    } catch (error) {
      if (error instanceof LostError) controller.abort(error);
      // Otherwise the database is away: the lease decides how long that may last.
    }
  };
  const heartbeat = setInterval(() => void beat(), times.heartbeatSeconds * 1000);
  const deadline = setInterval(
    () => Date.now() > lease.until && controller.abort(new LostError('The lease ran out')),
    500,
  );
  const seconds = deps.limitSeconds?.[operation.kind] ?? limitSeconds(operation.kind);
  const limit = setTimeout(() => {
    const reason = `The ${operation.kind} took longer than ${seconds / 60} minutes and was ended`;
    recorder.log(reason);
    controller.abort(new RetryableError(reason));
  }, seconds * 1000);
  const onStopping = () => controller.abort(new StoppingError('The worker is stopping'));
  stopping.addEventListener('abort', onStopping);
  if (stopping.aborted) onStopping();
  return () => {
    clearInterval(heartbeat);
    clearInterval(deadline);
    clearTimeout(limit);
    stopping.removeEventListener('abort', onStopping);
  };
}
