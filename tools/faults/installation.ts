import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../sandbox/host/free-port.ts';
import { clusterPaths } from '../../sandbox/host/postgres-cluster.ts';
import { findPostmaster } from '../../sandbox/host/postmaster.ts';
import { readSandboxFile, type SandboxFile } from '../../sandbox/host/sandbox-file.ts';
import { fingerprint } from '../../src/connections/connections.ts';
import { signal } from '../../src/processes/find.ts';
import { type Child, type ChildKind, findChildren, listChildren } from './processes.ts';
import { ServiceProcess } from './service-process.ts';
import { until } from './until.ts';

const PULUMI = fileURLToPath(new URL('../../src/cli/pulumi.ts', import.meta.url));
const AGENTS = fileURLToPath(new URL('../../src/cli/agents.ts', import.meta.url));

/** How a command ended, and what it printed. */
export interface Output {
  code: number;
  output: string;
}

export interface InstallationOptions {
  /** Environment of the tools: PATH, HOME, TMPDIR, AGENT_STACKS_PULUMI, AGENT_STACKS_ANSIBLE. */
  tools: Record<string, string>;
  leaseSeconds: number;
  workerConcurrency: number;
  /** Further settings of the service. */
  environment?: Record<string, string>;
}

/** Where servers wait for customers, if any do. */
export const POOL_REGION = 'us-east';
/** Settings with which so many servers wait; 0: none. */
export const poolEnvironment = (size: number): Record<string, string> =>
  size === 0 ? {} : { POOL: `${POOL_REGION}/starter=${size}` };

/** The minimum that the configuration accepts. */
export const SUITE_LEASE_SECONDS = 10;

/**
 * A real installation in a temporary folder, driven from outside: a host process (database, sandbox, HTTP,
 * with role `all` also a worker) and worker processes that join it. Everything is done to it as a person or a
 * power cut would do it.
 */
export class Installation {
  readonly folder: string;
  readonly dataDir: string;
  readonly #environment: Record<string, string>;
  #host: ServiceProcess | undefined;
  #workers: ServiceProcess[] = [];
  #count = 0;

  private constructor(folder: string, environment: Record<string, string>) {
    this.folder = folder;
    this.dataDir = join(folder, 'data');
    this.#environment = environment;
  }

  static async create(options: InstallationOptions): Promise<Installation> {
    const folder = realpathSync(mkdtempSync(join(options.tools.TMPDIR ?? tmpdir(), 'agent-stacks-faults-')));
    mkdirSync(join(folder, 'logs'));
    const port = await freePort(null);
    const installation = new Installation(folder, {
      ...options.tools,
      DATA_DIR: join(folder, 'data'),
      PORT: String(port),
      SANDBOX_MACHINES: 'simulated',
      // Otherwise there would be no run of Ansible to interrupt.
      SANDBOX_PLAYBOOK_CHECK: 'always',
      LEASE_SECONDS: String(options.leaseSeconds),
      RETRY_SECONDS: '2',
      // The suite buys more than a breaker lets through in an hour.
      LIMIT_CREATES_PER_HOUR: '999999',
      WORKER_CONCURRENCY: String(options.workerConcurrency),
      ...options.environment,
    });
    // All processes are outside this process group, so Ctrl-C does not reach them.
    for (const name of ['SIGINT', 'SIGTERM'] as const)
      process.once(name, () => void installation.killEverything().finally(() => process.exit(130)));
    return installation;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#environment.PORT}`;
  }

  /** The addresses from the last successful start. */
  #sandboxFile: SandboxFile | undefined;
  get file(): SandboxFile {
    this.#sandboxFile = readSandboxFile(this.dataDir) ?? this.#sandboxFile;
    if (this.#sandboxFile === undefined) throw new Error('The installation was never ready');
    return this.#sandboxFile;
  }

  get host(): ServiceProcess {
    if (this.#host === undefined) throw new Error('The host was never started');
    return this.#host;
  }

  /** Live worker processes, including stopped ones. */
  get workers(): readonly ServiceProcess[] {
    this.#workers = this.#workers.filter((worker) => worker.isAlive);
    return this.#workers;
  }

  #start(role: ServiceProcess['role']): ServiceProcess {
    this.#count += 1;
    const name = `${role}-${this.#count}`;
    const output = join(this.folder, 'logs', `${name}.log`);
    return new ServiceProcess({ role, name, environment: this.#environment, output });
  }

  /** Changes the settings of what is started from now on. */
  change(environment: Record<string, string>): void {
    Object.assign(this.#environment, environment);
  }

  async startHost(role: 'all' | 'api'): Promise<void> {
    this.#host = this.#start(role);
    await this.#host.untilReady();
  }

  async startWorker(): Promise<ServiceProcess> {
    const worker = this.#start('worker');
    this.#workers.push(worker);
    await worker.untilReady();
    return worker;
  }

  get installationTag(): string {
    return fingerprint(this.file.databaseUrl);
  }

  /** Descendants of workers, of one kind or all, of one worker or all. */
  children(only: { kind?: ChildKind; worker?: number } = {}): Child[] {
    return findChildren(this.installationTag).filter(
      (child) =>
        (only.kind === undefined || child.kind === only.kind) &&
        (only.worker === undefined || child.worker === only.worker),
    );
  }

  postmaster(): number | undefined {
    return findPostmaster(clusterPaths(this.dataDir).cluster)?.pid;
  }

  sandboxPid(): number | undefined {
    return listChildren(this.host.pid).find(({ command }) => command.includes('sandbox/main.ts'))?.pid;
  }

  /** kill -9 of the postmaster; its sessions end with it, and the host starts it again. */
  async restartPostgres(): Promise<void> {
    const before = this.postmaster();
    if (before === undefined) return;
    signal(before, 'SIGKILL');
    await until('Postgres is started again', 60, () => {
      const now = this.postmaster();
      return now !== undefined && now !== before;
    });
  }

  killSandbox(): void {
    const pid = this.sandboxPid();
    if (pid !== undefined) signal(pid, 'SIGKILL');
  }

  /**
   * kill -9 of everything at once: service, workers, engine processes and their children, sandbox, Postgres.
   */
  async killEverything(): Promise<void> {
    const below = [this.sandboxPid(), ...this.#postgres(), ...this.children().map(({ pid }) => pid)];
    const services = [this.#host, ...this.#workers].filter((one) => one?.isAlive).map((one) => one!.pid);
    for (const pid of [...services, ...below]) if (pid !== undefined) signal(pid, 'SIGKILL');
    await until(
      'everything is gone',
      20,
      () => this.host.isAlive === false && this.postmaster() === undefined,
      20,
    );
  }

  /** kill -9 of Postgres with its sessions, which nothing starts again. */
  async killPostgres(): Promise<void> {
    for (const pid of this.#postgres()) signal(pid, 'SIGKILL');
    await until('Postgres is gone', 20, () => this.postmaster() === undefined, 20);
  }

  /** The postmaster and its sessions. */
  #postgres(): number[] {
    const postmaster = this.postmaster();
    return postmaster === undefined ? [] : [postmaster, ...listChildren(postmaster).map(({ pid }) => pid)];
  }

  /** kill -9 of the host (service, sandbox, Postgres) while the workers stay; then starts it again. */
  async restartHost(): Promise<void> {
    const pids = [this.host.pid, this.sandboxPid(), this.postmaster()];
    const { role } = this.host;
    for (const pid of pids) if (pid !== undefined) signal(pid, 'SIGKILL');
    await until('the host is gone', 20, () => !this.host.isAlive && this.postmaster() === undefined, 20);
    await this.startHost(role === 'all' ? 'all' : 'api');
  }

  /** Stops everything in order, and kills what is left. */
  async stop(): Promise<void> {
    for (const worker of this.workers) await worker.stop().catch(() => worker.kill());
    if (this.#host?.isAlive) await this.#host.stop().catch(() => this.#host?.kill());
    const postmaster = this.postmaster();
    if (postmaster !== undefined) signal(postmaster, 'SIGQUIT');
  }

  /**
   * Compares an agent's stack with its program and with the clouds, as `npm run pulumi` does. `code` is 0 if
   * they agree.
   */
  preview(agentId: string): Promise<Output> {
    const options = ['--refresh', '--expect-no-changes', '--non-interactive'];
    return this.#run(PULUMI, ['preview', '-s', `agent-${agentId}`, ...options]);
  }

  /** Runs an operator's command, as `npm run agents` does. `signal` kills it. */
  command(words: readonly string[], signal?: AbortSignal): Promise<Output> {
    return this.#run(AGENTS, words, signal);
  }

  #run(script: string, args: readonly string[], signal?: AbortSignal): Promise<Output> {
    const options = { env: this.#environment, timeout: 120_000, signal, killSignal: 'SIGKILL' as const };
    return new Promise((resolve) => {
      execFile(
        process.execPath,
        ['--disable-warning=ExperimentalWarning', script, ...args],
        options,
        (error, stdout, stderr) => resolve({ code: error === null ? 0 : 1, output: stdout + stderr }),
      );
    });
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
