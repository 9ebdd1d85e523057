import type { OperationRow } from './rows.ts';
import type { OperationStatus } from './states.ts';

/** A legal change of an operation's status. */
export interface Transition<
  By extends string = string,
  Column extends keyof OperationRow = keyof OperationRow,
> {
  from: readonly OperationStatus[];
  to: OperationStatus;
  by: By;
  /** The columns that it sets besides the status. */
  columns: readonly Column[];
}

function edge<By extends string, Column extends keyof OperationRow>(
  from: readonly OperationStatus[],
  to: OperationStatus,
  by: By,
  columns: readonly Column[],
): Transition<By, Column> {
  return { from, to, by, columns };
}

const CLAIM = [
  'attempt',
  'worker_id',
  'lease_until',
  'claimed_at',
  'last_heartbeat_at',
  'started_at',
] as const;
const FAILURE = ['error', 'failed_step', 'failure_code'] as const;
const COUNTS = ['retry_count', 'lost_count'] as const;
/** The columns that say why a try did not succeed, and how many did not. */
export const FAILURE_COLUMNS = [...FAILURE, ...COUNTS] as const;
const RELEASE = ['worker_id', 'lease_until', 'dispatched_at'] as const;
const FINISH = [...RELEASE, 'finished_at'] as const;
const REQUEUE = [...RELEASE, 'executor', 'run_after'] as const;
const RETRY = ['executor', ...COUNTS, 'cancel_requested', 'finished_at', 'run_after'] as const;
const RUN = ['workflow_run_id', 'result', 'report'] as const;
const DISPATCH = ['attempt', 'dispatched_at', 'run_after', 'polled_at', ...RUN] as const;
const REFUSALS = ['error_before_dispatch', 'dispatch_failures'] as const;

/**
 * All legal changes of an operation's status, and of its attempt while it is queued. docs/states.md shows the
 * same diagram. A queued operation can fail if its attempt was dispatched and no runner has begun it.
 */
export const TRANSITIONS = [
  edge(['queued'], 'active', 'a worker claims it', CLAIM),
  edge(['queued'], 'queued', 'its next attempt is dispatched', DISPATCH),
  edge(['queued'], 'queued', 'its dispatch is refused', ['dispatched_at', 'error', 'run_after', ...REFUSALS]),
  edge(['queued'], 'active', 'a runner begins it', [...CLAIM, ...RUN, 'error', ...REFUSALS]),
  edge(['queued'], 'queued', 'another executor is chosen', ['executor', 'dispatched_at', 'run_after']),
  edge(['queued'], 'queued', 'a person hastens it', ['run_after']),
  edge(['queued'], 'cancelled', 'a person cancels it', ['cancel_requested', 'dispatched_at', 'finished_at']),
  edge(['active'], 'succeeded', 'its work is done', [...FAILURE, ...FINISH]),
  edge(['active', 'queued'], 'queued', 'a try fails or is lost', [...FAILURE, ...COUNTS, ...REQUEUE]),
  edge(['active'], 'queued', 'its worker hands it back', REQUEUE),
  edge(['active'], 'queued', 'what it needs is sold out', [...REQUEUE, 'waits_for', 'failure_code']),
  edge(['active', 'queued'], 'failed', 'its last try fails', [...FAILURE, ...COUNTS, ...FINISH]),
  edge(['active'], 'cancelled', 'its try ends after a cancellation', [...FAILURE, ...FINISH]),
  edge(['failed', 'cancelled'], 'queued', 'a person retries it', RETRY),
] as const;
