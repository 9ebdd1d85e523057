import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../log.ts';

type Close = () => Promise<void> | void;

/** Closes whatever the process has opened, last opened first. A part that fails to close does not stop the others. */
export class Shutdown implements AsyncDisposable {
  readonly #log: Log;
  readonly #stack = new AsyncDisposableStack();
  #limitMs: number | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Registers a part; `name` is for the log. */
  add(name: string, close: Close): void {
    this.#stack.defer(() => this.#close(name, close));
  }

  /** Gives each part this many milliseconds: a part that never finished starting may be unable to close. */
  limitEach(limitMs: number): void {
    this.#limitMs = limitMs;
  }

  async #close(name: string, close: Close): Promise<void> {
    try {
      const closed = Promise.resolve(close());
      await (this.#limitMs === undefined
        ? closed
        : Promise.race([closed, sleep(this.#limitMs, undefined, { ref: false })]));
    } catch (error) {
      this.#log.warn(
        { event: 'shutdown.part_failed', part: name, error: String(error) },
        `could not close ${name}`,
      );
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}
