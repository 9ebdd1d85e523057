import { setTimeout as sleep } from 'node:timers/promises';
import { getAgentForOperation } from '../../agents/for-operation.ts';
import { type Database, isDatabaseUnavailable } from '../../database/connect.ts';
import { cutText } from '../../database/storable.ts';
import { CancelledError, errorMessage, LostError, RateLimitedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { AgentEffect, Runbooks } from '../../operations/attempt.ts';
import type { Claim, OperationRow } from '../../operations/claims.ts';
import { LONGEST_LINE } from '../../operations/lengths.ts';
import { limitSeconds } from '../../operations/registry.ts';
import { runbookFor } from '../../operations/runbooks.ts';
import { handBack, settleFailure, succeed } from '../../operations/settle.ts';
import { LEASE_SECONDS, type OperationKind } from '../../operations/states.ts';
import { Lease, leaseTimes } from '../../processes/lease.ts';
import type { Fence } from '../../pulumi/fence.ts';
import type { Queue } from '../../queue/queue.ts';
import { guardAttempt, leaseEnd, StoppingError } from './guard.ts';
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

/**
 * Carries out one attempt: heartbeats keep the lease, the runbook does the work, and whatever comes of it is
 * settled under the attempt's number. Never throws; an attempt that was lost has nothing left to write.
 */
export async function runAttempt(
  deps: AttemptDeps,
  operation: OperationRow,
  workerId: string,
  stopping: AbortSignal,
): Promise<void> {
  const { operation_id: operationId, agent_id: agentId, kind, attempt } = operation;
  const claim: Claim = { operationId, attempt, workerId };
  const ids = { operationId, agentId, kind, attempt };
  const controller = new AbortController();
  const times = leaseTimes(deps.leaseSeconds ?? LEASE_SECONDS);
  const lease = new Lease(leaseEnd(times));
  const onError = (error: unknown) => error instanceof LostError && controller.abort(error);
  const recorder = createRecorder(deps.database, { claim, agentId, kind }, onError);
  const seconds = deps.limitSeconds?.[kind] ?? limitSeconds(kind);
  const guarded = { claim, kind, limitSeconds: seconds, controller, lease, times, recorder, stopping };
  const stopGuarding = guardAttempt(deps.database, guarded);
  deps.log.info({ event: 'attempt.begins', ...ids }, `${kind} of ${agentId} begins`);
  try {
    const { signal } = controller;
    const outcome = await workAndSettle(deps, { operation, lease, recorder, signal, claim });
    deps.log.info(
      { event: 'attempt.ends', ...ids, outcome: outcome.status, error: outcome.error },
      `${kind} of ${agentId}: ${outcome.status}`,
    );
  } catch (error) {
    deps.log.warn(
      { event: 'attempt.lost', ...ids, error: errorMessage(error) },
      `${kind} of ${agentId} is no longer ours`,
    );
  } finally {
    stopGuarding();
  }
}

interface Work {
  operation: OperationRow;
  claim: Claim;
  lease: Lease;
  recorder: Recorder;
  signal: AbortSignal;
}

async function workAndSettle(
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
    const error = signal.aborted ? signal.reason : lossOrError(thrown);
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

/**
 * Tries that counted neither as failed nor as lost: beyond this many, it is not the configuration alone that
 * is to blame.
 */
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

/**
 * A database that went away under the runbook says nothing against the operation: the try is lost, not
 * failed.
 */
function lossOrError(thrown: unknown): unknown {
  if (!isDatabaseUnavailable(thrown)) return thrown;
  return new LostError(`The database went away: ${errorMessage(thrown)}`, { cause: thrown });
}

/**
 * Lets the attempt into Pulumi's state, earlier ones being put out, and does what the operation's runbook
 * says.
 */
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

/**
 * What has been done must be written down: while the database is away and the lease holds, it is tried again.
 */
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
