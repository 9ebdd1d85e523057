import type { Database } from '../../database/connect.ts';
import { CancelledError, LostError, RetryableError } from '../../errors.ts';
import { type Claim, renewLease } from '../../operations/claims.ts';
import type { OperationKind } from '../../operations/states.ts';
import type { Lease, LeaseTimes } from '../../processes/lease.ts';
import type { Recorder } from './recorder.ts';

/** The worker is stopping: running attempts are handed back. */
export class StoppingError extends Error {
  override name = 'StoppingError';
}

/** The time by which an attempt that renews its lease now must have stopped if it cannot renew it again. */
export function leaseEnd({ leaseSeconds, safetySeconds }: LeaseTimes): number {
  return Date.now() + (leaseSeconds - safetySeconds) * 1000;
}

export interface Guarded {
  claim: Claim;
  kind: OperationKind;
  limitSeconds: number;
  controller: AbortController;
  lease: Lease;
  times: LeaseTimes;
  recorder: Pick<Recorder, 'log'>;
  stopping: AbortSignal;
}

/**
 * Renews the lease. Aborts the attempt if it is lost, cancelled or over its limit, or the worker stops.
 * @returns a function that stops guarding
 */
export function guardAttempt(database: Database, guarded: Guarded): () => void {
  const { kind, limitSeconds, controller, lease, recorder, stopping } = guarded;
  const heartbeat = setInterval(() => void beat(database, guarded), guarded.times.heartbeatSeconds * 1000);
  const deadline = setInterval(
    () => Date.now() > lease.until && controller.abort(new LostError('The lease ran out')),
    500,
  );
  const limit = setTimeout(() => {
    const reason = `The ${kind} took longer than ${limitSeconds / 60} minutes and was ended`;
    recorder.log(reason);
    controller.abort(new RetryableError(reason));
  }, limitSeconds * 1000);
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

async function beat(database: Database, { claim, controller, lease, times }: Guarded): Promise<void> {
  // A paused worker must not renew a lease that has expired.
  if (Date.now() > lease.until) return controller.abort(new LostError('The lease ran out'));
  const end = leaseEnd(times);
  try {
    const { cancelRequested } = await renewLease(database, claim, times.leaseSeconds);
    lease.renew(end);
    if (cancelRequested) controller.abort(new CancelledError('Cancelled'));
  } catch (error) {
    if (error instanceof LostError) controller.abort(error);
    // Otherwise the database is unavailable: keep trying until the lease expires.
  }
}
