/**
 * Buffers items that arrive faster than they can be recorded. Of the items that `mayBeLeftOut`, it keeps
 * about the newest `most` and drops older ones. It never drops any other item.
 */
export class Backlog<T> {
  readonly #most: number;
  readonly #mayBeLeftOut: (item: T) => boolean;
  #items: T[] = [];
  #optional = 0;
  #leftOut = 0;

  constructor(most: number, mayBeLeftOut: (item: T) => boolean) {
    this.#most = most;
    this.#mayBeLeftOut = mayBeLeftOut;
  }

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  push(item: T): void {
    this.#items.push(item);
    if (!this.#mayBeLeftOut(item)) return;
    this.#optional += 1;
    // Not on every push: dropping items scans the whole backlog.
    if (this.#optional >= 2 * this.#most) this.#makeRoom();
  }

  /** Removes and returns all items, oldest first, and how many were dropped since the last call. */
  take(): { leftOut: number; items: T[] } {
    this.#makeRoom();
    const taken = { leftOut: this.#leftOut, items: this.#items };
    this.#items = [];
    this.#optional = 0;
    this.#leftOut = 0;
    return taken;
  }

  #makeRoom(): void {
    let tooMany = this.#optional - this.#most;
    if (tooMany <= 0) return;
    this.#leftOut += tooMany;
    this.#optional = this.#most;
    this.#items = this.#items.filter((item) => {
      if (tooMany === 0 || !this.#mayBeLeftOut(item)) return true;
      tooMany -= 1;
      return false;
    });
  }
}

/** The log line that marks a gap. */
export function gapLine(leftOut: number): string {
  return `… ${leftOut} lines omitted: output came faster than it could be recorded`;
}
