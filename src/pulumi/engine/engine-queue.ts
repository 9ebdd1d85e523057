import { availableParallelism } from 'node:os';
import { followProcessorLoad } from '../../processes/processor-load.ts';

/** What the queue knows of the machine. */
export interface Processors {
  count: number;
  /** Returns the share of their time that was used since the previous call, 0 to 1. */
  load(): number;
}

interface EngineStarter<Engine> {
  start(): Engine;
  /** How many engine processes have work. */
  busy(): number;
}

interface Waiting<Engine> {
  since: number;
  take(engine: Engine): void;
  refuse(error: unknown): void;
}

const LOOK_MS = 250;
/** Processors that have to be idle for a start to be worth it. */
const ROOM = 1;
/** A start costs about half a second, and a run that waits for its cloud many. */
const LONGEST_WAIT_MS = 2_000;

/**
 * Runs that wait for an engine process to become free. While the processors have nothing to spare, a further
 * process would delay those that are at work and gain nothing: one of them is free sooner. So a run waits
 * until the processors have room, which they do as soon as the others wait for their clouds, and never longer
 * than {@link LONGEST_WAIT_MS}.
 */
export class EngineQueue<Engine> {
  readonly #processors: Processors;
  readonly #pool: EngineStarter<Engine>;
  readonly #waiting: Waiting<Engine>[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(pool: EngineStarter<Engine>, processors?: Processors) {
    this.#pool = pool;
    this.#processors = processors ?? { count: availableParallelism(), load: followProcessorLoad() };
  }

  /** Resolves with a new process, or with one that has become free. @throws the signal's reason */
  async take(signal: AbortSignal): Promise<Engine> {
    signal.throwIfAborted();
    if (this.#hasProcessorLeft()) return this.#pool.start();
    const { promise, resolve, reject } = Promise.withResolvers<Engine>();
    const waiting = { since: performance.now(), take: resolve, refuse: reject };
    const onAbort = () => {
      const index = this.#waiting.indexOf(waiting);
      if (index !== -1) this.#waiting.splice(index, 1);
      reject(signal.reason);
    };
    this.#waiting.push(waiting);
    this.#look();
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
    this.#endLook();
    for (const { refuse } of this.#waiting.splice(0)) refuse(error);
  }

  #hasProcessorLeft(): boolean {
    return this.#pool.busy() < this.#processors.count;
  }

  #look(): void {
    if (this.#timer !== undefined) return;
    // What was used before anything waited says nothing.
    this.#processors.load();
    this.#timer = setInterval(() => {
      const idleProcessors = this.#processors.count * (1 - this.#processors.load());
      const [first] = this.#waiting;
      if (first === undefined) return this.#endLook();
      const hasWaited = performance.now() - first.since >= LONGEST_WAIT_MS;
      if (idleProcessors >= ROOM || this.#hasProcessorLeft() || hasWaited) this.give(this.#pool.start());
    }, LOOK_MS);
  }

  #endLook(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
