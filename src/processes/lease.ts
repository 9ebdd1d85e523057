/** How leases are renewed; the same for all workers of an installation. */
export interface LeaseTimes {
  /** Time from a renewal until another attempt may begin. */
  leaseSeconds: number;
  /** How often a worker renews its leases and checks for cancellations. */
  heartbeatSeconds: number;
  /** How long before the lease expires a worker must have ended everything of its attempt. */
  safetySeconds: number;
}

/**
 * Allows ten renewals per lease, and a fifth of it for a process group to end; a tenth would be too short.
 */
export function leaseTimes(leaseSeconds: number): LeaseTimes {
  return { leaseSeconds, heartbeatSeconds: leaseSeconds / 10, safetySeconds: Math.max(3, leaseSeconds / 5) };
}

/**
 * How long an attempt may continue without contact to the database. All its processes end themselves at
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
