import type { AgentStatus, OperationKind } from '../database/vocabulary.ts';

export { LEASE_SECONDS, RETRY_SECONDS } from '../config/timing.ts';
export {
  OPERATION_KINDS,
  OPERATION_STATUSES,
  type OperationKind,
  type OperationStatus,
} from '../database/vocabulary.ts';

/** In which states of its agent a person may ask for an operation. `provision` comes from an order, `rollback` from a failure. */
export const ALLOWED_FROM: Partial<Record<OperationKind, readonly AgentStatus[]>> = {
  start: ['stopped'],
  stop: ['running'],
  restart: ['running'],
  refresh: ['running', 'stopped', 'suspended'],
  reconfigure: ['running'],
  resize: ['running'],
  rebuild: ['running', 'stopped'],
  destroy: ['requested', 'provisioning', 'running', 'stopping', 'stopped', 'suspended', 'failed'],
};

/** What changes how an agent runs: one of them at a time, since each is asked for in view of the state that it finds. */
export const EXCLUSIVE: readonly OperationKind[] = [
  'start',
  'stop',
  'restart',
  'reconfigure',
  'resize',
  'rebuild',
];

/** Where an operation finds its agent when it begins: where it may be asked for, or where an earlier try of it has brought the agent. */
export function mayBegin(kind: OperationKind, status: AgentStatus): boolean {
  if (kind === 'stop' && status === 'stopping') return true;
  return !EXCLUSIVE.includes(kind) || (ALLOWED_FROM[kind]?.includes(status) ?? false);
}

/** A try that failed counts, at most this many; the last failure is final. */
export const MAX_RETRIES = 3;
/** A try that was lost (its process died) is repeated without counting, at most this many times. */
export const MAX_LOST = 10;
/** An attempt on a GitHub runner beats every 60 s; after this long without a beat it has timed out. */
export const RUNNER_SILENT_SECONDS = 15 * 60;
/** An operation that takes longer than this is ended and counts as a failed try. */
export const LIMIT_SECONDS: Record<OperationKind, number> = {
  provision: 30 * 60,
  start: 10 * 60,
  stop: 10 * 60,
  restart: 10 * 60,
  refresh: 10 * 60,
  reconfigure: 20 * 60,
  resize: 20 * 60,
  rebuild: 30 * 60,
  rollback: 20 * 60,
  destroy: 20 * 60,
};
