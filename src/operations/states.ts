export { LEASE_SECONDS, RETRY_SECONDS } from '../config/timing.ts';
export { OPERATION_STATUSES, type OperationKind, type OperationStatus } from '../database/vocabulary.ts';

/** A try that failed counts, at most this many; the last failure is final. */
export const MAX_RETRIES = 3;
/** A try that was lost (its process died) is repeated without counting, at most this many times. */
export const MAX_LOST = 10;
/** An attempt on a GitHub runner beats every 60 s; after this long without a beat it has timed out. */
export const RUNNER_SILENT_SECONDS = 15 * 60;
