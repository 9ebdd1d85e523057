export { OPERATION_STATUSES, type OperationKind, type OperationStatus } from '../database/vocabulary.ts';

/** The number of failed tries after which an operation has failed. */
export const MAX_RETRIES = 3;
/** How often a lost try (its process died) is repeated. Lost tries do not count as failed. */
export const MAX_LOST = 10;
/** A GitHub runner sends a heartbeat every 60 s. After this long without one, its attempt has timed out. */
export const RUNNER_SILENT_SECONDS = 15 * 60;
