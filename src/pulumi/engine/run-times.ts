import type { StackTask } from './messages.ts';

/** Runs of the same work on the same kind of stack are expected to take equally long. */
type Kind = string;

/** What the runs at work are, and how long the last one of each kind took. */
export class RunTimes {
  readonly #shortMs: number;
  readonly #atWork: Kind[] = [];
  readonly #lastMs = new Map<Kind, number>();

  /** @param shortMs how long a run takes at most that counts as short */
  constructor(shortMs: number) {
    this.#shortMs = shortMs;
  }

  /** Measures a run. A failure says nothing about how long the next one takes. */
  async measure<T>(task: StackTask, run: () => Promise<T>): Promise<T> {
    const begun = performance.now();
    const kind = kindOf(task);
    this.#atWork.push(kind);
    try {
      const result = await run();
      this.#lastMs.set(kind, performance.now() - begun);
      return result;
    } finally {
      this.#atWork.splice(this.#atWork.indexOf(kind), 1);
    }
  }

  /** Returns how many of the runs at work are of a kind that was short the last time. */
  readonly countShort = (): number =>
    this.#atWork.filter((kind) => (this.#lastMs.get(kind) ?? Number.POSITIVE_INFINITY) <= this.#shortMs)
      .length;
}

const kindOf = (task: StackTask): Kind =>
  'program' in task ? `${task.verb} ${task.program.stack}` : task.verb;
