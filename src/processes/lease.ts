/** How a lease of a given length is kept. All workers of an installation use the same. */
export interface LeaseTimes {
  /** From a renewal until another attempt may begin. */
  leaseSeconds: number;
  /** A worker renews its leases this often, and hears of cancellations with it. */
  heartbeatSeconds: number;
  /** Between the moment a worker must have ended everything of an attempt and the end of the lease. */
  safetySeconds: number;
}

/** Ten chances to renew a lease, and a fifth of it to be gone in; half of that is not enough for a process group to end. */
export function leaseTimes(leaseSeconds: number): LeaseTimes {
  return { leaseSeconds, heartbeatSeconds: leaseSeconds / 10, safetySeconds: Math.max(3, leaseSeconds / 5) };
}

/**
 * How long an attempt may go on without hearing from the database. Whoever works for the attempt ends itself when
 * `until` passes, which is before the next attempt may begin.
 */
export class Lease {
  #until: number;
  readonly #listeners = new Set<(until: number) => void>();

  constructor(until: number) {
    this.#until = until;
  }

  /** Milliseconds since the epoch. */
  get until(): number {
    return this.#until;
  }

  renew(until: number): void {
    this.#until = until;
    for (const listener of this.#listeners) listener(until);
  }

  onRenewed(listener: (until: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
