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
