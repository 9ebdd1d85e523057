import { availableParallelism } from 'node:os';

interface EngineStarter<Engine> {
  start(): Engine;
  /** How many engine processes can be expected to become free sooner than a new one would help. */
  soonFree(): number;
}

interface EngineQueueOptions {
  /** How many processors the machine has. Default: what Node says. */
  processors?: number | undefined;
  /** How long a run waits at most, in milliseconds: however wrong the expectation is, it costs no more. */
  patienceMs: number;
}

interface Waiting<Engine> {
  since: number;
  take(engine: Engine): void;
  refuse(error: unknown): void;
}

const CHECK_MS = 250;

/**
 * Runs that wait for an engine process to become free. Where short runs keep all processors at work, a
 * further process delays them and gains nothing: one of them is free before a new one has started. Long runs
 * wait for their clouds and leave the processors to others, so no run waits for them.
 */
export class EngineQueue<Engine> {
  readonly #pool: EngineStarter<Engine>;
  readonly #processors: number;
  readonly #patienceMs: number;
  readonly #waiting: Waiting<Engine>[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(pool: EngineStarter<Engine>, { processors, patienceMs }: EngineQueueOptions) {
    this.#pool = pool;
    this.#processors = processors ?? availableParallelism();
    this.#patienceMs = patienceMs;
  }

  /** Resolves with a new process, or with one that has become free. @throws the signal's reason */
  async take(signal: AbortSignal): Promise<Engine> {
    signal.throwIfAborted();
    if (!this.#isWorthWaiting(this.#waiting.length)) return this.#pool.start();
    const { promise, resolve, reject } = Promise.withResolvers<Engine>();
    const waiting = { since: performance.now(), take: resolve, refuse: reject };
    const onAbort = () => {
      const index = this.#waiting.indexOf(waiting);
      if (index !== -1) this.#waiting.splice(index, 1);
      reject(signal.reason);
    };
    this.#waiting.push(waiting);
    this.#timer ??= setInterval(() => this.check(), CHECK_MS);
    signal.addEventListener('abort', onAbort);
    return promise.finally(() => signal.removeEventListener('abort', onAbort));
  }

  /** Gives a process that has become free to the run that has waited longest. @returns whether one took it */
  give(engine: Engine): boolean {
    const next = this.#waiting.shift();
    next?.take(engine);
    return next !== undefined;
  }

  /** Starts a process for each run for which waiting is no longer worth it. */
  check(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const hasWaited = performance.now() - first.since >= this.#patienceMs;
      if (!hasWaited && this.#isWorthWaiting(0)) return;
      this.#waiting.shift();
      try {
        first.take(this.#pool.start());
      } catch (error) {
        first.refuse(error);
      }
    }
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Lets no run wait any longer. */
  refuseAll(error: Error): void {
    for (const { refuse } of this.#waiting.splice(0)) refuse(error);
    this.check();
  }

  /** Each run that waits counts on a process of its own. */
  #isWorthWaiting(ahead: number): boolean {
    const soonFree = this.#pool.soonFree();
    return soonFree >= this.#processors && soonFree > ahead;
  }
}
