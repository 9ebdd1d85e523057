import { getAgentForOperation } from '../../agents/for-operation.ts';
import { getAgent } from '../../agents/store.ts';
import { LEASE_SECONDS } from '../../config/timing.ts';
import { type Database, isDatabaseUnavailable } from '../../database/connect.ts';
import { cutText } from '../../database/storable.ts';
import { CancelledError, errorMessage, LostError, RateLimitedError, ShortageError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { AgentEffect, Runbooks } from '../../operations/attempt.ts';
import type { Claim, OperationRow } from '../../operations/claims.ts';
import type { IsStillWanted } from '../../operations/last-check.ts';
import { LONGEST_LINE } from '../../operations/lengths.ts';
import { persist } from '../../operations/persist.ts';
import { limitSeconds } from '../../operations/registry.ts';
import { runbookFor } from '../../operations/runbooks.ts';
import { handBack, settleFailure, succeed } from '../../operations/settle.ts';
import type { OperationKind } from '../../operations/states.ts';
import { createSpanRecorder } from '../../operations/traces/span-recorder.ts';
import { Lease, leaseTimes } from '../../processes/lease.ts';
import type { Fence } from '../../pulumi/fence.ts';
import type { Queue } from '../../queue/queue.ts';
import type { ReportSpan } from '../../telemetry/span.ts';
import { guardAttempt, leaseEnd, StoppingError } from './guard.ts';
import { passLastCheck } from './last-check.ts';
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
  /** Time limits by kind; default: those of the definitions. */
  limitSeconds?: Partial<Record<OperationKind, number>>;
  /** Checks whether the configuration works; undefined if it cannot be wrong. */
  readiness?: Readiness | undefined;
  /** Asks whether a destroy that the service wants is still wanted; without it none begins. */
  isStillWanted?: IsStillWanted | undefined;
  /** Whether traces are collected. */
  isTraced?: boolean | undefined;
  log: Log;
}

/**
 * Runs one attempt: heartbeats keep the lease, the runbook does the work, and the result is settled under the
 * attempt's number. Never throws. A lost attempt writes nothing.
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
  const spans = deps.isTraced === true ? createSpanRecorder(deps.database, claim) : undefined;
  deps.log.info({ event: 'attempt.started', ...ids }, `${kind} of ${agentId} started`);
  try {
    const { signal } = controller;
    const span = spans?.report;
    const outcome = await workAndSettle(deps, { operation, lease, recorder, signal, claim, span });
    deps.log.info(
      { event: 'attempt.ended', ...ids, outcome: outcome.status, error: outcome.error },
      `${kind} of ${agentId}: ${outcome.status}`,
    );
  } catch (error) {
    deps.log.warn(
      { event: 'attempt.lost', ...ids, error: errorMessage(error) },
      `${kind} of ${agentId} is no longer ours`,
    );
  } finally {
    stopGuarding();
    void spans?.close();
  }
}

interface Work {
  operation: OperationRow;
  claim: Claim;
  lease: Lease;
  recorder: Recorder;
  signal: AbortSignal;
  span: ReportSpan | undefined;
}

async function workAndSettle(deps: AttemptDeps, work: Work): Promise<{ status: string; error?: string }> {
  const { operation, claim, lease, recorder, signal } = work;
  try {
    const effect = await followRunbook(deps, work);
    signal.throwIfAborted();
    await recorder.close();
    await persist(lease, () => succeed(deps, claim, effect));
    return { status: 'succeeded' };
  } catch (thrown) {
    const error = signal.aborted ? signal.reason : lossOrError(thrown);
    if (error instanceof LostError && signal.aborted) throw error;
    await recorder.close();
    if (error instanceof StoppingError) {
      const status = await persist(lease, () => handBack(deps, claim, recorder.currentStep));
      return { status: status === 'queued' ? 'handed back' : status };
    }
    const waitsFor = await findWaitReason(deps, operation, error);
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

/** After this many tries that counted neither as failed nor as lost, the next failure counts in any case. */
const MOST_UNCOUNTED = 20;

/**
 * Checks whether a wrong configuration caused a failure. If so, the operation has not failed but waits until
 * the configuration is fixed. A rate limit or a shortage proves that the credentials work; a check would cost
 * more quota.
 * @returns what to fix; undefined if the configuration is not the cause
 */
async function findWaitReason(
  { readiness, database }: AttemptDeps,
  { kind, agent_id: agentId, attempt, retry_count: failed, lost_count: lost }: OperationRow,
  error: unknown,
): Promise<string | undefined> {
  const isUnrelated = [CancelledError, LostError, RateLimitedError, ShortageError].some(
    (Class) => error instanceof Class,
  );
  if (readiness === undefined || isUnrelated || attempt - failed - lost > MOST_UNCOUNTED) return undefined;
  await readiness.recheck();
  const reason = readiness.waitReason(kind);
  const ofProjects = readiness.projectReasons?.();
  if (reason !== undefined || ofProjects === undefined || ofProjects.size === 0) return reason;
  return ofProjects.get((await getAgent(database, agentId)).project);
}

/** If the runbook failed because the database became unavailable, the try is lost, not failed. */
function lossOrError(thrown: unknown): unknown {
  if (!isDatabaseUnavailable(thrown)) return thrown;
  return new LostError(`The database became unavailable: ${errorMessage(thrown)}`, { cause: thrown });
}

/** Gives the attempt its login to the Pulumi state, which evicts earlier attempts, and runs the runbook. */
async function followRunbook(
  deps: AttemptDeps,
  { operation, claim, lease, recorder, signal, span }: Work,
): Promise<AgentEffect> {
  await passLastCheck(deps, operation, claim);
  const agent = await getAgentForOperation(deps.database, operation.agent_id);
  const runbook = runbookFor(deps.runbooks, operation, agent);
  const entry = await deps.fence.enter({ agentId: agent.agent_id, ...claim });
  try {
    // Already aborted: a listener added now would never fire.
    signal.throwIfAborted();
    const { step, log, foundResources } = recorder;
    const { backendUrl } = entry;
    return await runbook({ operation, agent, signal, lease, backendUrl, step, log, foundResources, span });
  } finally {
    // Usually the agent's next attempt closes the login, but a destroyed agent has none.
    await persist(lease, () => entry.leave()).catch((error: unknown) =>
      deps.log.warn(
        { event: 'fence.leave_failed', error: errorMessage(error) },
        'could not close the attempt’s login to the Pulumi state',
      ),
    );
  }
}
