/**
 * What waits to be told while more comes than can be told: the newest of it. Of what `mayBeLeftOut` at most
 * so many are kept; the rest is never lost.
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
    // Not at every item: making room costs as much as there is.
    if (this.#optional >= 2 * this.#most) this.#makeRoom();
  }

  /** Everything, oldest first, and how many older ones were left out since the last time. */
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

/** Says in a log that it has a gap. */
export function gapLine(leftOut: number): string {
  return `… ${leftOut} lines are left out here: more came than could be told`;
}
