/** How a lease of a given length is kept; the same for all workers of an installation. */
export interface LeaseTimes {
  /** From a renewal until another attempt may begin. */
  leaseSeconds: number;
  /** How often a worker renews its leases and learns of cancellations. */
  heartbeatSeconds: number;
  /** How long before the end of the lease a worker must have ended everything of its attempt. */
  safetySeconds: number;
}

/**
 * Ten chances to renew, and a fifth of the lease for a process group to end; a tenth is too short for that.
 */
export function leaseTimes(leaseSeconds: number): LeaseTimes {
  return { leaseSeconds, heartbeatSeconds: leaseSeconds / 10, safetySeconds: Math.max(3, leaseSeconds / 5) };
}

/**
 * How long an attempt may continue without hearing from the database. Whatever works for it ends itself at
 * `until`, before the next attempt may begin.
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
