import { LostError } from '../errors.ts';
import { Lease, leaseTimes } from '../processes/lease.ts';

export interface LeasedWork {
  leaseSeconds: number;
  /** How long it may take. */
  limitSeconds: number;
  /** Extends the lease in the work's row. @throws LostError if another attempt has begun */
  renew(): Promise<void>;
  stopping: AbortSignal;
}

/** How work under a lease ended. */
export type LeasedEnd =
  | { status: 'done' }
  | { status: 'failed'; error: unknown }
  | { status: 'lost'; error: unknown };

/**
 * Does work that is no operation under a lease as an operation's attempt has it: the lease is renewed while
 * the work goes on, and the work ends before the lease runs out. Never throws.
 */
export async function underLease(
  { leaseSeconds, limitSeconds, renew, stopping }: LeasedWork,
  work: (held: { signal: AbortSignal; lease: Lease }) => Promise<void>,
): Promise<LeasedEnd> {
  const own = new AbortController();
  const signal = AbortSignal.any([own.signal, stopping, AbortSignal.timeout(limitSeconds * 1000)]);
  const times = leaseTimes(leaseSeconds);
  const leaseEnd = () => Date.now() + (leaseSeconds - times.safetySeconds) * 1000;
  const lease = new Lease(leaseEnd());
  const beat = async () => {
    // A process that was paused must not renew a lease that has run out.
    if (Date.now() > lease.until) return own.abort(ranOut());
    const end = leaseEnd();
    try {
      await renew();
      lease.renew(end);
    } catch (error) {
      if (error instanceof LostError) own.abort(error);
    }
  };
  const heartbeat = setInterval(() => void beat(), times.heartbeatSeconds * 1000);
  const deadline = setInterval(() => Date.now() > lease.until && own.abort(ranOut()), 500);
  try {
    await work({ signal, lease });
    return { status: 'done' };
  } catch (thrown) {
    if (!own.signal.aborted) return { status: 'failed', error: thrown };
    return { status: 'lost', error: own.signal.reason };
  } finally {
    clearInterval(heartbeat);
    clearInterval(deadline);
  }
}

const ranOut = () => new LostError('The lease ran out');
