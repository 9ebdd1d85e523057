import { errorMessage } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { EngineProcess, type RunOptions } from './engine-process.ts';
import { EngineQueue } from './engine-queue.ts';
import type { StackResult, StackTask } from './messages.ts';
import type { EngineSettings } from './run-stack.ts';
import { RunTimes } from './run-times.ts';

export interface EnginePool {
  /** Runs a task in a process of its own: idle, new, or the next to become free. @throws one of our errors */
  run(task: StackTask, options: RunOptions): Promise<StackResult>;
  /** One that is being ended counts as busy. */
  count(): { busy: number; idle: number };
  /** Ends all processes and everything that they started. */
  stop(): Promise<void>;
}

export interface EnginePoolOptions {
  settings: EngineSettings;
  environment: Record<string, string>;
  processTags: Record<string, string>;
  /** How many processes at most wait for later runs. */
  idle: number;
  /** How long all but one of them wait. Default {@link IDLE_MS}. */
  idleMs?: number;
  /** How many processors the machine has. Default: what Node says. */
  processors?: number;
  /** How long a run waits at most for one that was no longer the last time. Default {@link PATIENCE_MS}. */
  patienceMs?: number;
  /** Gets a warning for each process that could not be ended. */
  log?: Pick<Log, 'warn'> | undefined;
}

/** Longer than the pauses within a burst of orders; each waiting process holds about 50 MiB. */
const IDLE_MS = 30_000;
/** As long as an engine process takes to start on a busy machine, with the first run that follows. */
const PATIENCE_MS = 2_000;

/**
 * Reuses engine processes: starting one costs more than half a second of CPU time. Each concurrent run has
 * its own, and up to `idle` of them stay for later runs, all but one only for a short time. A process whose
 * run failed is ended with everything that it started. When a new one is started: see EngineQueue.
 */
export function createEnginePool(options: EnginePoolOptions): EnginePool {
  return new Pool(options);
}

const stopping = () => new Error('The engine is stopping');

class Pool implements EnginePool {
  readonly #options: EnginePoolOptions;
  readonly #all = new Set<EngineProcess>();
  readonly #idle: EngineProcess[] = [];
  readonly #queue: EngineQueue<EngineProcess>;
  readonly #times: RunTimes;
  readonly #retirements = new Map<EngineProcess, NodeJS.Timeout>();
  readonly #endings = new Map<EngineProcess, Promise<void>>();
  #pulumiVersion: string | undefined;
  #stopped = false;

  constructor(options: EnginePoolOptions) {
    this.#options = options;
    const { processors, patienceMs = PATIENCE_MS } = options;
    this.#times = new RunTimes(patienceMs);
    const starter = { start: () => this.#start(), soonFree: this.#times.countShort };
    this.#queue = new EngineQueue(starter, { processors, patienceMs });
    // The first run should not wait for the SDK to load.
    this.#idle.push(this.#start());
  }

  async run(task: StackTask, options: RunOptions): Promise<StackResult> {
    if (this.#stopped) throw stopping();
    const engine = this.#takeIdle() ?? (await this.#queue.take(options.signal));
    let result: StackResult;
    try {
      result = await this.#times.measure(task, () => engine.run(task, options));
    } catch (error) {
      await this.#end(engine);
      throw error;
    }
    this.#release(engine);
    return result;
  }

  readonly count = () => {
    const idle = this.#idle.length;
    return { busy: Math.max(0, this.#all.size - idle), idle };
  };

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#queue.refuseAll(stopping());
    await Promise.all([...this.#all].map((engine) => this.#end(engine)));
  }

  /** The end of a surplus process is not the run's concern; `stop` waits for it. */
  #release(engine: EngineProcess): void {
    if (this.#stopped || !engine.isAlive) void this.#end(engine);
    else if (this.#queue.give(engine)) return;
    else if (this.#idle.length < this.#options.idle) this.#keep(engine);
    else void this.#end(engine);
  }

  #keep(engine: EngineProcess): void {
    this.#idle.push(engine);
    const retirement = setTimeout(() => this.#retire(engine), this.#options.idleMs ?? IDLE_MS).unref();
    this.#retirements.set(engine, retirement);
  }

  #retire(engine: EngineProcess): void {
    this.#retirements.delete(engine);
    if (this.#idle.length <= 1) return;
    this.#idle.splice(this.#idle.indexOf(engine), 1);
    void this.#end(engine);
  }

  #takeIdle(): EngineProcess | undefined {
    for (let engine = this.#idle.pop(); engine !== undefined; engine = this.#idle.pop()) {
      clearTimeout(this.#retirements.get(engine));
      this.#retirements.delete(engine);
      if (engine.isAlive) return engine;
      void this.#end(engine);
    }
    return undefined;
  }

  #start(): EngineProcess {
    const { settings, environment, processTags } = this.#options;
    const pulumiVersion = this.#pulumiVersion;
    const known = pulumiVersion === undefined ? settings : { ...settings, pulumiVersion };
    const made = new EngineProcess(known, environment, processTags);
    this.#all.add(made);
    made.ready.then(
      (version) => {
        this.#pulumiVersion = version;
      },
      () => {},
    );
    return made;
  }

  /** Never rejects: a process that cannot be ended must neither end the service nor fail a run. */
  #end(engine: EngineProcess): Promise<void> {
    clearTimeout(this.#retirements.get(engine));
    const ending =
      this.#endings.get(engine) ??
      engine
        .end()
        .catch((error: unknown) => this.#warn(engine, error))
        .finally(() => {
          this.#all.delete(engine);
          this.#endings.delete(engine);
          this.#queue.check();
        });
    this.#endings.set(engine, ending);
    return ending;
  }

  #warn({ pid }: EngineProcess, error: unknown): void {
    this.#options.log?.warn(
      { event: 'engine.end_failed', pid, error: errorMessage(error) },
      `Engine process ${pid} could not be ended, or its work folder not removed. ` +
        'The next start of the service tries both again; a process that survives SIGKILL needs a restart of the host',
    );
  }
}
