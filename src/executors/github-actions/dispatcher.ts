import { getAgent } from '../../agents/store.ts';
import type { Database } from '../../database/connect.ts';
import { errorMessage, RateLimitedError } from '../../errors.ts';
import type { GithubClient } from '../../github/github.ts';
import type { Log } from '../../log.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { confirmCancellation, takeDueCancellations } from '../../operations/run-cancellations.ts';
import type { Queue } from '../../queue/queue.ts';
import type { Secret } from '../../secret.ts';
import { settleExpired } from '../worker/expired.ts';
import { registerWorker, unregisterWorker } from '../worker/workers.ts';
import { confirmDispatch, refuseDispatch, takeDispatch } from './dispatches.ts';
import { recordFoundRun, settleCancelled, settleEndedRun, takeSilentRuns, type Watched } from './overdue.ts';
import { workflowInputs } from './workflow-inputs.ts';

export interface DispatcherDeps {
  database: Database;
  queue: Queue;
  log: Log;
  /** The client, or why there is none. */
  github: { client: GithubClient } | { missing: string };
  /** The service's URL for callbacks. */
  publicUrl: string;
  callbackSecret: Secret | undefined;
  workerId: string;
  /** Pause after the first failed try; default `RETRY_SECONDS`. */
  retrySeconds?: number | undefined;
  /**
   * Dispatches nothing and only follows runs that have already begun, because another executor was chosen.
   * Default false.
   */
  watchesOnly?: boolean;
}

export interface Dispatcher {
  /** Polls now. */
  wake(): void;
  stop(): Promise<void>;
}

const POLL_SECONDS = 2;
/** With `watchesOnly` there is usually nothing to do. */
const WATCH_SECONDS = 15;
const AT_ONCE = 8;

/**
 * Dispatches operations to GitHub as workflow runs, cancels runs that are no longer needed, and checks runs
 * that are silent. Any number of processes may do this: row locks give each task to one of them.
 */
export function startDispatcher(deps: DispatcherDeps): Dispatcher {
  let stopping = false;
  let again = false;
  let looking: Promise<void> | undefined;
  // The service was down: the first poll checks all runs at once, because some may have ended meanwhile.
  let silentSeconds: number | undefined = 0;
  const once = async () => {
    if (!deps.watchesOnly)
      await registerWorker(deps.database, { workerId: deps.workerId, concurrency: AT_ONCE });
    await lookOnce(deps, { isStopping: () => stopping, silentSeconds });
  };
  const look = async () => {
    do {
      again = false;
      await once().catch((error: unknown) =>
        deps.log.warn(
          { event: 'dispatcher.poll_failed', error: errorMessage(error) },
          'could not poll the operations',
        ),
      );
      silentSeconds = undefined;
    } while (again && !stopping);
    looking = undefined;
  };
  const wake = () => {
    again = true;
    if (!stopping) looking ??= look();
  };
  const timer = setInterval(wake, (deps.watchesOnly ? WATCH_SECONDS : POLL_SECONDS) * 1000);
  wake();
  return {
    wake,
    stop: async () => {
      stopping = true;
      clearInterval(timer);
      await looking;
      if (!deps.watchesOnly) await unregisterWorker(deps.database, deps.workerId);
    },
  };
}

/** Polls once and does everything that is due. */
export async function lookOnce(
  deps: DispatcherDeps,
  {
    isStopping = () => false,
    silentSeconds,
  }: { isStopping?: () => boolean; silentSeconds?: number | undefined } = {},
): Promise<void> {
  await settleExpired(deps.database, deps.queue, deps.log);
  if (!deps.watchesOnly) await dispatchDue(deps, isStopping);
  for (const row of await settleCancelled(deps.database, deps.queue))
    deps.log.info(
      { event: 'attempt.cancelled', ...toLogIds(row) },
      `${row.kind} of ${row.agent_id}: cancelled`,
    );
  if ('missing' in deps.github) return;
  const { client } = deps.github;
  const runs = await takeDueCancellations(deps.database);
  await Promise.all(runs.map((runId) => cancelRun(deps, client, runId)));
  const silent = await takeSilentRuns(deps.database, silentSeconds);
  await Promise.all(silent.map((watched) => checkRun(deps, client, watched)));
}

/** Dispatches all due operations, several at once up to a limit. */
async function dispatchDue(deps: DispatcherDeps, isStopping: () => boolean): Promise<void> {
  const one = async (): Promise<void> => {
    while (!isStopping() && (await dispatchNext(deps)));
  };
  if (await dispatchNext(deps)) await Promise.all(Array.from({ length: AT_ONCE }, one));
}

/** @returns whether an operation was due */
async function dispatchNext(deps: DispatcherDeps): Promise<boolean> {
  const refusal = findRefusal(deps);
  const taken = await takeDispatch(deps, refusal);
  switch (taken?.kind) {
    case undefined:
      return false;
    case 'refused':
      logRefused(deps.log, taken.operation, refusal ?? '');
      return true;
    case 'given-up':
      deps.log.warn({ event: 'attempt.expired', ...toLogIds(taken.operation) }, taken.reason);
      return true;
    case 'dispatch':
      await dispatch(deps, taken.operation);
      return true;
  }
}

/** Returns what the configuration lacks for dispatches; undefined if it is complete. */
function findRefusal({ github, callbackSecret }: DispatcherDeps): string | undefined {
  if ('missing' in github) return github.missing;
  return callbackSecret === undefined
    ? 'GITHUB_CALLBACK_SECRET is missing: callbacks cannot be verified'
    : undefined;
}

async function dispatch(deps: DispatcherDeps, operation: OperationRow): Promise<void> {
  const { database, log, publicUrl } = deps;
  const { client } = deps.github as { client: GithubClient };
  const { region } = await getAgent(database, operation.agent_id);
  const { operation_id: operationId, attempt, agent_id: agentId } = operation;
  const service = { publicUrl, callbackSecret: deps.callbackSecret! };
  let runId: string | undefined;
  try {
    runId = await client.dispatch(workflowInputs({ operationId, attempt, agentId, region }, service));
  } catch (error) {
    const reason = `The workflow could not be dispatched: ${errorMessage(error)}`;
    const leastSeconds = error instanceof RateLimitedError ? error.seconds : 0;
    await refuseDispatch(database, operation, { reason, leastSeconds });
    logRefused(log, operation, reason);
    return;
  }
  await confirmDispatch(database, operation, runId);
  log.info(
    { event: 'operation.dispatched', ...toLogIds(operation), workflowRunId: runId },
    `${operation.kind} of ${agentId} dispatched to GitHub`,
  );
}

async function cancelRun(
  { database, log }: DispatcherDeps,
  client: GithubClient,
  runId: string,
): Promise<void> {
  try {
    await client.cancelRun(runId);
    await confirmCancellation(database, runId);
    log.info({ event: 'run.cancelled', workflowRunId: runId }, `workflow run ${runId} was cancelled`);
  } catch (error) {
    const text = `workflow run ${runId} could not be cancelled`;
    log.warn({ event: 'run.cancel_failed', workflowRunId: runId, error: errorMessage(error) }, text);
  }
}

async function checkRun(deps: DispatcherDeps, client: GithubClient, watched: Watched): Promise<void> {
  try {
    const runId = watched.runId ?? (await findRun(deps, client, watched));
    if (runId === undefined) return;
    const run = await client.getRun(runId);
    const reason = run === undefined ? undefined : await settleEndedRun(deps, { ...watched, runId }, run);
    if (reason !== undefined) deps.log.warn({ event: 'run.ended', ...watched }, reason);
  } catch (error) {
    const text = `could not check the workflow run of operation ${watched.operationId}`;
    deps.log.warn({ event: 'run.check_failed', ...watched, error: errorMessage(error) }, text);
  }
}

/** GitHub's clock may be a little behind ours. */
const CLOCK_SKEW_MS = 60_000;

async function findRun(
  { database }: DispatcherDeps,
  client: GithubClient,
  watched: Watched,
): Promise<string | undefined> {
  const since = new Date(watched.dispatchedAt.getTime() - CLOCK_SKEW_MS);
  const runId = await client.findRun(watched.operationId, since);
  if (runId !== undefined) await recordFoundRun(database, watched, runId);
  return runId;
}

function logRefused(log: Log, operation: OperationRow, reason: string): void {
  log.error({ event: 'dispatch.failed', ...toLogIds(operation), reason }, reason);
}

function toLogIds(row: OperationRow) {
  const { operation_id: operationId, agent_id: agentId, kind, attempt } = row;
  return { operationId, agentId, kind, attempt };
}
