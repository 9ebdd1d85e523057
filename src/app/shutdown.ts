import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../log.ts';

type Close = () => Promise<void> | void;

/** Closes everything the process has opened, in reverse order, even if some parts fail to close. */
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

  /** Limits the time to close each part, since a part that never finished starting may hang. */
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
