import type { StackWork } from './messages.ts';

type Verb = StackWork['verb'];

/** Longer than an engine process takes to start, with the first run that follows, on a busy machine. */
const SHORT_MS = 2_000;

/** What the runs at work are, and how long the last one of each kind took. */
export class RunTimes {
  readonly #atWork: Verb[] = [];
  readonly #lastMs = new Map<Verb, number>();

  /** Measures a run. A failure says nothing about how long the next one takes. */
  async measure<T>(verb: Verb, run: () => Promise<T>): Promise<T> {
    const begun = performance.now();
    this.#atWork.push(verb);
    try {
      const result = await run();
      this.#lastMs.set(verb, performance.now() - begun);
      return result;
    } finally {
      this.#atWork.splice(this.#atWork.indexOf(verb), 1);
    }
  }

  /** Whether one of the runs at work is of a kind that was short the last time. */
  readonly isOneShort = (): boolean =>
    this.#atWork.some((verb) => (this.#lastMs.get(verb) ?? Number.POSITIVE_INFINITY) <= SHORT_MS);
}
