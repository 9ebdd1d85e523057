import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { processIdentity } from '../../src/processes/alive.mjs';
import { signal } from '../../src/processes/find.ts';
import { until } from './until.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_TIMEOUT_SECONDS = 90;

export type ServiceRole = 'all' | 'api' | 'worker';

/** One process of the service, started like `npm start`, with its output in a file. */
export class ServiceProcess {
  readonly role: ServiceRole;
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #output: string;
  readonly #offset: number;
  #stopped = false;

  constructor(options: {
    role: ServiceRole;
    name: string;
    environment: Record<string, string>;
    output: string;
  }) {
    this.role = options.role;
    this.name = options.name;
    this.#output = options.output;
    appendFileSync(options.output, `--- ${options.name} starts ${new Date().toISOString()}\n`);
    this.#offset = readFileSync(options.output).length;
    const file = openSync(options.output, 'a');
    this.#child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', MAIN, '--role', options.role],
      { cwd: ROOT, env: options.environment, stdio: ['ignore', file, file], detached: true },
    );
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get isAlive(): boolean {
    return (
      this.#child.exitCode === null && this.#child.signalCode === null && processIdentity(this.pid) !== null
    );
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Resolves once it reports ready. @throws Error with its output if it ends first */
  async untilReady(): Promise<void> {
    await until(
      `${this.name} is ready`,
      START_TIMEOUT_SECONDS,
      () => {
        const said = readFileSync(this.#output).subarray(this.#offset).toString();
        if (said.includes(`Ready (${this.role})`)) return true;
        if (!this.isAlive) return true;
        return false;
      },
      50,
    );
    if (!this.isAlive)
      throw new Error(`${this.name} has ended:\n${readFileSync(this.#output).subarray(this.#offset)}`);
  }

  /** kill -9 of this process alone. */
  async kill(): Promise<void> {
    signal(this.pid, 'SIGKILL');
    await this.#untilGone(10);
  }

  pause(): void {
    this.#stopped = true;
    signal(this.pid, 'SIGSTOP');
  }

  resume(): void {
    this.#stopped = false;
    signal(this.pid, 'SIGCONT');
  }

  /** Stops it cleanly, as Ctrl-C would. */
  async stop(): Promise<void> {
    this.resume();
    signal(this.pid, 'SIGTERM');
    await this.#untilGone(60);
  }

  async #untilGone(seconds: number): Promise<void> {
    await until(`${this.name} is gone`, seconds, () => !this.isAlive, 10);
  }
}
