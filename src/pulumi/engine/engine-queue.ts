import { availableParallelism } from 'node:os';

interface EngineStarter<Engine> {
  start(): Engine;
  /** How many engine processes have work. */
  busy(): number;
  /** Whether one of them can be expected to become free sooner than a new one would help. */
  isOneSoonFree(): boolean;
}

interface Waiting<Engine> {
  since: number;
  take(engine: Engine): void;
  refuse(error: unknown): void;
}

const LOOK_MS = 250;
/** However wrong the expectation is, it costs no more than this. */
const LONGEST_WAIT_MS = 2_000;

/**
 * Runs that wait for an engine process to become free. Where as many are at work as there are processors, a
 * further one delays them, and if their runs are short it gains nothing: one of them is free before a new one
 * has started. Long runs wait for their clouds and leave the processors to others, so nothing waits for them.
 */
export class EngineQueue<Engine> {
  readonly #pool: EngineStarter<Engine>;
  readonly #processors: number;
  readonly #waiting: Waiting<Engine>[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(pool: EngineStarter<Engine>, processors = availableParallelism()) {
    this.#pool = pool;
    this.#processors = processors;
  }

  /** Resolves with a new process, or with one that has become free. @throws the signal's reason */
  async take(signal: AbortSignal): Promise<Engine> {
    signal.throwIfAborted();
    if (this.#waiting.length === 0 && !this.#isWorthWaiting()) return this.#pool.start();
    const { promise, resolve, reject } = Promise.withResolvers<Engine>();
    const waiting = { since: performance.now(), take: resolve, refuse: reject };
    const onAbort = () => {
      const index = this.#waiting.indexOf(waiting);
      if (index !== -1) this.#waiting.splice(index, 1);
      reject(signal.reason);
    };
    this.#waiting.push(waiting);
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS);
    signal.addEventListener('abort', onAbort);
    return promise.finally(() => signal.removeEventListener('abort', onAbort));
  }

  /** Gives a process that has become free to the run that has waited longest. @returns whether one took it */
  give(engine: Engine): boolean {
    const next = this.#waiting.shift();
    next?.take(engine);
    return next !== undefined;
  }

  /** Lets no run wait any longer. */
  refuseAll(error: Error): void {
    for (const { refuse } of this.#waiting.splice(0)) refuse(error);
    this.#look();
  }

  #isWorthWaiting(): boolean {
    return this.#pool.busy() >= this.#processors && this.#pool.isOneSoonFree();
  }

  #look(): void {
    let [first] = this.#waiting;
    while (first !== undefined && (this.#hasWaitedEnough(first) || !this.#isWorthWaiting())) {
      this.give(this.#pool.start());
      [first] = this.#waiting;
    }
    if (first !== undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #hasWaitedEnough({ since }: Waiting<Engine>): boolean {
    return performance.now() - since >= LONGEST_WAIT_MS;
  }
}
