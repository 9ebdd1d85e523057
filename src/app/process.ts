import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openSandboxInstallation, type SandboxInstallation } from '../../sandbox/host/installation.ts';
import { hasStacks } from '../backups/in-use.ts';
import type { Config, LiveConfig, Role } from '../config/config.ts';
import type { Connections } from '../connections/connections.ts';
import { openConnections } from '../connections/rehearsal.ts';
import { createDatabase, createPool, type Database } from '../database/connect.ts';
import { migrateDatabase } from '../database/migrations.ts';
import { whileStarting } from '../database/restore-lock.ts';
import { openWebServer } from '../http/web-server.ts';
import { applyLimits } from '../limits/apply-limits.ts';
import { createLog, type Log } from '../log.ts';
import { createEventHub, type EventHub } from '../operations/events/event-hub.ts';
import { chooseExecutor } from '../operations/executor-choice.ts';
import type { Clock } from '../processes/clock.ts';
import { findDataDirOwner } from '../processes/folder-lock.ts';
import { untilStopped } from '../processes/stop-signals.ts';
import { say } from '../processes/terminal-text.mjs';
import { StoppedError, type Waiter, waitFor } from '../processes/waiting.ts';
import { applyProjects } from '../projects/projects.ts';
import { type Queue, startQueue } from '../queue/queue.ts';
import type { InstallationCheck } from '../reconcile/checks/store.ts';
import { watchStalled } from '../reconcile/stalled.ts';
import { watchForLostState } from '../recovery/lost-state.ts';
import { openClock } from './clock.ts';
import { checkInstallation, untilTailnetKnown } from './installation-check.ts';
import { openKeyFollowing } from './keys.ts';
import { observeDatabasePool } from './observed.ts';
import { clientsOf } from './open-projects.ts';
import { recognizeOwn } from './rebuilding.ts';
import { startReloading } from './reload.ts';
import { serveHttp, type WebServers } from './serve.ts';
import { Shutdown } from './shutdown.ts';
import { openTelemetry, startSending, type Telemetry } from './telemetry.ts';
import { announceStart, showAgents } from './terminal/announce.ts';
import { placeDemoOrder } from './terminal/demo-order.ts';
import { followOnTerminal } from './terminal/follow.ts';
import { startWorkerRole } from './worker.ts';

const CLOSE_LIMIT_MS = 10_000;

/**
 * Runs the service in this process until a signal ends it, then stops everything in order.
 * @param reread reads the configuration again, at SIGHUP; without it that signal stops the process
 */
export async function runProcess(config: Config, role: Role, reread?: () => Config): Promise<void> {
  const log = openLog(config);
  const stopped = untilStopped({ stopsOnHangUp: reread === undefined });
  {
    await using shutdown = new Shutdown(log);
    try {
      await open({ config, role, log, shutdown, reread, stopping: stopped.signal, fail: stopped.fail });
      await stopped.promise;
      say('\nStopping: releasing the operations in progress …');
    } catch (error) {
      shutdown.limitEach(CLOSE_LIMIT_MS);
      if (!(error instanceof StoppedError)) throw error;
    }
  }
  say('Stopped.');
}

interface ProcessParts {
  config: Config;
  role: Role;
  log: Log;
  shutdown: Shutdown;
  /** Aborts when the process is asked to stop. */
  stopping: AbortSignal;
  /** Reads the configuration again. */
  reread: (() => Config) | undefined;
  /** Stops it because it can be of no use. */
  fail(error: Error): void;
}

/** Binds the port, finds or starts the sandbox, and starts the roles of this process. */
async function open(parts: ProcessParts): Promise<void> {
  const { config, role, shutdown, stopping } = parts;
  for (const notice of config.notices) say(notice);
  const hasHost = config.mode === 'sandbox' && findDataDirOwner(config.dataDir) !== null;
  const servers = role === 'worker' ? undefined : await openPorts(config, hasHost, shutdown);
  const installation =
    config.mode === 'sandbox' ? await openSandboxInstallation(config, say, stopping) : undefined;
  if (installation?.role === 'join') say(`Joining the installation that runs on ${installation.dataDir}`);
  if (installation !== undefined) shutdown.add('the sandbox and its database', installation.stop);
  const waiter = { say, signal: stopping };
  const connections = installation?.connections ?? (await openConnections(config as LiveConfig, waiter));
  await start({ ...parts, servers, connections, installation });
}

/** Binds the ports first, so that one in use is reported before anything is created. */
async function openPorts(config: Config, hasHost: boolean, shutdown: Shutdown): Promise<WebServers> {
  const open = async (address: Parameters<typeof openWebServer>[0], name: string) => {
    const server = await openWebServer(address, hasHost);
    shutdown.add(name, server.close);
    return server;
  };
  const { operator } = config;
  return {
    main: await open(config, 'the port'),
    operator:
      operator && (await open({ ...operator, variable: 'OPERATOR_PORT' }, 'the port of dashboard and API')),
  };
}

interface StartParts extends ProcessParts {
  /** Have already bound their ports; undefined for a worker. */
  servers: WebServers | undefined;
  connections: Connections;
  installation: SandboxInstallation | undefined;
}

async function start(parts: StartParts): Promise<void> {
  const { config, role, servers, connections, installation, shutdown, stopping } = parts;
  const waiter = { say, signal: stopping };
  const opened = await openBackend(parts, waiter);
  const clock = openClock({ ...parts, database: opened.database });
  shutdown.add('the clock', clock.stop);
  const backend = { ...opened, clock };
  shutdown.add('the reloading of credentials', startReloading({ ...parts, ...backend }).stop);
  const { database, events } = backend;
  const served = servers === undefined ? undefined : serveHttp({ ...parts, ...backend, servers });
  const publicUrl = served?.url ?? installation?.publicUrl ?? config.publicUrl;
  const operatorUrl = served?.operatorUrl ?? installation?.operatorUrl ?? config.operator?.url ?? publicUrl;
  shutdown.add('the metrics of this process', startSending({ ...parts, ...backend, operatorUrl }).stop);
  if (installation !== undefined) {
    const sandbox = installation.serve(served ?? { url: config.publicUrl, port: config.port });
    await waitFor('the sandbox', sandbox, waiter);
  }
  // A clock that was moved before a restart must not seem to jump while the worker decides.
  await clock.refresh();
  const lost = watchForLostState({
    database,
    log: parts.log,
    projects: openProjects(connections),
    hasStacks: () => hasStacks(connections.pulumi.url),
    isOwn: config.mode === 'rehearsal' ? recognizeOwn(connections) : undefined,
  });
  shutdown.add('the look for earlier servers', lost.stop);
  const problems = role === 'api' ? [] : await startWork({ ...parts, ...backend, publicUrl }, waiter);
  shutdown.add('the terminal', followOnTerminal({ database, events, say }));
  announceStart({ installation, role, url: served && operatorUrl, problems });
  await showAgents(database);
  if (installation?.role === 'host' && role !== 'worker' && wantsDemoOrder(config)) {
    await lost.looked;
    await placeDemoOrder({ database, connections, say });
  }
}

/** None where only the GitHub runners have the keys. */
const openProjects = ({ missingKeys, hcloud }: Connections) =>
  missingKeys.length === 0 ? [...clientsOf(hcloud.projects).values()] : [];

function wantsDemoOrder(config: Config): boolean {
  return config.mode === 'sandbox' && config.sandbox.demoOrder === 'on';
}

interface Backend {
  database: Database;
  queue: Queue;
  events: EventHub;
  telemetry: Telemetry;
  /** Tailscale has not answered yet, so this may not be the database's tailnet. */
  isTailnetSilent: boolean;
}

/** Opens and checks the database, and starts the queue and the event listener. */
async function openBackend(parts: StartParts, waiter: Waiter): Promise<Backend> {
  const { config, role, connections, installation, shutdown, log } = parts;
  const telemetry = await openTelemetry(parts);
  shutdown.add('what is sent to the collector', telemetry.stop);
  const pool = createPool(connections.databaseUrl, 12, `agent-stacks ${role}`);
  observeDatabasePool(pool);
  shutdown.add('the database connections', () => pool.end());
  const database = createDatabase(pool);
  const { own, announceIn, follow, notice } = openKeyFollowing(parts, database);
  const isTailnetSilent = await whileStarting(database, async () => {
    await waitFor('the database migrations', migrateDatabase(connections.databaseUrl), waiter);
    const checked = checkInstallation(database, config, connections, announceIn);
    return waitFor('the installation checks', checked, waiter);
  });
  shutdown.add(`the announcement of ${own.processId}`, follow().stop);
  const told = await notice();
  if (told !== undefined) say(told);
  // The processes that accept orders choose the executor and the limits, not a worker that joins.
  if (role !== 'worker' && installation?.role !== 'join') {
    await chooseExecutor(database, config.executor);
    await applyLimits(database, config.limits, config.billing.plans.servers);
    await applyProjects(database, connections.hcloud.projects);
  }
  const queue = await waitFor('the queue', startQueue({ url: connections.databaseUrl, log }), waiter);
  const events = createEventHub({ url: connections.databaseUrl, log });
  shutdown.add('the event listener', events.close);
  shutdown.add('the queue', queue.stop);
  shutdown.add('the monitor of stalled operations', watchStalled({ database, log }).stop);
  return { database, queue, events, telemetry, isTailnetSilent };
}

/** @returns the configuration problems that the worker has found so far */
async function startWork(
  parts: StartParts & Backend & { publicUrl: string; clock: Clock },
  waiter: Waiter,
): Promise<InstallationCheck[]> {
  const { config, connections, database, shutdown, stopping } = parts;
  // The API is already serving, so orders are accepted meanwhile.
  const known = parts.isTailnetSilent && untilTailnetKnown(database, config, connections, stopping);
  if (known) await waitFor('Tailscale to confirm the tailnet; orders are on hold', known, waiter);
  const starting = startWorkerRole(parts);
  // Registered before the wait: even if that is aborted, the worker must release its claims.
  shutdown.add('the worker', async () => (await starting).stop());
  const worker = await waitFor('the worker', starting, waiter);
  return worker.problems?.() ?? [];
}

/** Live mode logs to standard error for a collector; sandbox mode to a file, to keep the terminal clear. */
function openLog(config: Config): Log {
  if (config.mode !== 'sandbox') return createLog();
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  return createLog(join(config.dataDir, 'logs', 'service.log'));
}
