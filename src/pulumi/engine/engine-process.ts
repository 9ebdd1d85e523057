import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LostError } from '../../errors.ts';
import { findProcesses, killProcesses, signal } from '../../processes/find.ts';
import type { Lease } from '../../processes/lease.ts';
import { engineError } from '../errors.ts';
import type { EngineLine, FromEngine, Progress, StackResult, StackTask, ToEngine } from './messages.ts';
import type { EngineSettings } from './run-stack.ts';

/** Environment variable that tags an engine process and everything below it with the process's id. */
export const ENGINE_TAG = 'AGENT_STACKS_RUNNER';

export interface RunOptions {
  signal: AbortSignal;
  lease: Lease;
  onProgress: (progress: Progress) => void;
  /** Takes the engine process's own log lines. */
  onLog?: ((line: EngineLine) => void) | undefined;
}

/** How long a cancelled run has to finish its current resource before it is killed. */
const CANCEL_GRACE_SECONDS = 15;
const START_TIMEOUT_SECONDS = 60;
const DIED = 'The process that ran Pulumi has died';
/**
 * A run is short and keeps most of what it allocates: with less room for new objects than the usual 16 MiB a
 * process takes a third less memory, and no more processor time.
 */
const NODE_OPTIONS = [
  '--disable-warning=ExperimentalWarning',
  '--max-semi-space-size=1',
  '--heap-growing-percent=20',
];
/** One area for the C library's allocations instead of one a thread: a fifth less memory. */
const MEMORY_ENVIRONMENT = { MALLOC_ARENA_MAX: '1' };

/** One engine process, as the worker sees it. Never reused after a run that did not succeed. */
export class EngineProcess {
  readonly #id = randomUUID();
  readonly #child: ChildProcess;
  readonly #processTags: Record<string, string>;
  readonly #workDir: string | undefined;
  /** Resolves with the version of its Pulumi CLI. */
  readonly ready: Promise<string | undefined>;

  /**
   * `processTags` tag the process and, with every task, everything that it starts, so that it can be found.
   */
  constructor(
    settings: EngineSettings,
    environment: Record<string, string>,
    processTags: Record<string, string>,
  ) {
    this.#processTags = { ...processTags, [ENGINE_TAG]: this.#id };
    this.#workDir = settings.workDir === undefined ? undefined : join(settings.workDir, this.#id);
    const own = { ...settings, ...(this.#workDir === undefined ? {} : { workDir: this.#workDir }) };
    this.#child = fork(fileURLToPath(new URL('child.ts', import.meta.url)), [JSON.stringify(own)], {
      // Its own process group: one signal ends it with all its children, and Ctrl-C does not reach it.
      detached: true,
      env: { ...environment, ...MEMORY_ENVIRONMENT, ...this.#processTags },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: NODE_OPTIONS,
    });
    this.#child.stderr?.resume();
    this.ready = this.#untilReady();
    this.ready.catch(() => {});
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && this.#child.connected;
  }

  async #untilReady(): Promise<string | undefined> {
    const timeout = AbortSignal.timeout(START_TIMEOUT_SECONDS * 1000);
    const stderr: string[] = [];
    this.#child.stderr?.on('data', (chunk: Buffer) => stderr.length < 20 && stderr.push(chunk.toString()));
    const gone = once(this.#child, 'exit', { signal: timeout }).then(() => {
      throw new LostError(
        `An engine process could not start: ${stderr.join('').trim().slice(-2000) || 'it exited without output'}`,
      );
    });
    gone.catch(() => {});
    const ready = once(this.#child, 'message', { signal: timeout });
    try {
      const [message] = (await Promise.race([ready, gone])) as [FromEngine];
      return message.type === 'ready' ? message.pulumiVersion : undefined;
    } catch (error) {
      if (!timeout.aborted) throw error;
      throw new LostError(`An engine process did not start within ${START_TIMEOUT_SECONDS} s`, {
        cause: error,
      });
    }
  }

  /** @throws one of our errors; LostError if the process died during the run. */
  async run(task: StackTask, { signal: abort, lease, onProgress, onLog }: RunOptions): Promise<StackResult> {
    await this.ready;
    abort.throwIfAborted();
    if (!this.isAlive) throw new LostError(DIED);
    const offLease = lease.onRenewed((leaseUntil) => this.#send({ type: 'lease', leaseUntil }));
    let killTimer: NodeJS.Timeout | undefined;
    const onAbort = () => {
      // A lost lease kills immediately; a cancellation lets the current resource finish.
      if (abort.reason instanceof LostError) this.#kill();
      else this.#send({ type: 'cancel' });
      killTimer = setTimeout(() => this.#kill(), CANCEL_GRACE_SECONDS * 1000);
    };
    abort.addEventListener('abort', onAbort);
    try {
      const result = this.#result(onProgress, onLog);
      const environment = { ...task.environment, ...this.#processTags };
      this.#send({ type: 'run', task: { ...task, environment }, leaseUntil: lease.until });
      return await result;
    } catch (error) {
      throw abort.aborted && abort.reason instanceof Error ? abort.reason : error;
    } finally {
      offLease();
      clearTimeout(killTimer);
      abort.removeEventListener('abort', onAbort);
    }
  }

  #result(onProgress: RunOptions['onProgress'], onLog: RunOptions['onLog']): Promise<StackResult> {
    return new Promise((resolve, reject) => {
      const done = (settle: () => void) => {
        this.#child.off('message', onMessage);
        this.#child.off('exit', onExit);
        settle();
      };
      const onExit = () => done(() => reject(new LostError(DIED)));
      const onMessage = (message: FromEngine) => {
        if (message.type === 'progress') onProgress(message.progress);
        else if (message.type === 'log') onLog?.(message.line);
        else if (message.type === 'done') done(() => resolve(message.result));
        else if (message.type === 'failed') done(() => reject(engineError(message)));
      };
      this.#child.on('message', onMessage);
      this.#child.on('exit', onExit);
    });
  }

  #send(message: ToEngine): void {
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  #kill(): void {
    if (this.#child.pid !== undefined) signal(-this.#child.pid, 'SIGKILL');
  }

  /**
   * Ends the process and all its descendants, and waits until they are gone.
   * @throws if one of them survives, or its work folder cannot be removed
   */
  async end(): Promise<void> {
    this.#kill();
    await killProcesses((environment) => environment.get(ENGINE_TAG) === this.#id);
    if (this.#workDir !== undefined) await rm(this.#workDir, { recursive: true, force: true });
  }
}

/** Removes the work folders that dead engine processes left behind. */
export async function removeOrphanedWork(workDir: string): Promise<void> {
  const names = await readdir(workDir).catch(() => []);
  const left = names.filter(
    (id) => findProcesses((environment) => environment.get(ENGINE_TAG) === id).length === 0,
  );
  await Promise.all(left.map((id) => rm(join(workDir, id), { recursive: true, force: true })));
}
