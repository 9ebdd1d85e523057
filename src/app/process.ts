import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openSandboxInstallation, type SandboxInstallation } from '../../sandbox/host/installation.ts';
import { deriveAuditKey } from '../audit/chain.ts';
import { createLastCheck } from '../billing/follow/last-check.ts';
import type { Config, LiveConfig, Role } from '../config/config.ts';
import { toConsoles } from '../config/consoles.ts';
import type { Connections } from '../connections/connections.ts';
import { actsOnTestEvents, openConnections } from '../connections/rehearsal.ts';
import { createDatabase, createPool, type Database } from '../database/connect.ts';
import { migrateDatabase } from '../database/migrations.ts';
import { createHetznerClient } from '../hetzner/hetzner.ts';
import { openWebServer, type WebServer } from '../http/web-server.ts';
import { applyLimits } from '../limits/apply-limits.ts';
import { createLog, type Log } from '../log.ts';
import { createEventHub, type EventHub } from '../operations/events/event-hub.ts';
import { chooseExecutor } from '../operations/executor-choice.ts';
import type { Clock } from '../processes/clock.ts';
import { findDataDirOwner } from '../processes/folder-lock.ts';
import { untilStopped } from '../processes/stop-signals.ts';
import { say } from '../processes/terminal-text.mjs';
import { StoppedError, type Waiter, waitFor } from '../processes/waiting.ts';
import { type Queue, startQueue } from '../queue/queue.ts';
import type { InstallationCheck } from '../reconcile/checks/store.ts';
import { watchStalled } from '../reconcile/stalled.ts';
import { watchForLostState } from '../recovery/lost-state.ts';
import { createApp } from './api.ts';
import { openBackups } from './backing-up.ts';
import { actsOnPast, openFollowing } from './billing.ts';
import { openClock } from './clock.ts';
import { versionOf } from './engine.ts';
import { checkInstallation, untilTailnetKnown } from './installation-check.ts';
import { observeDatabasePool } from './observed.ts';
import { openRebuilding } from './rebuilding.ts';
import { openRemote } from './runner-api.ts';
import { Shutdown } from './shutdown.ts';
import { openTelemetry, startSending, type Telemetry } from './telemetry.ts';
import { announceStart, showAgents } from './terminal/announce.ts';
import { placeDemoOrder } from './terminal/demo-order.ts';
import { followOnTerminal } from './terminal/follow.ts';
import { startWorkerRole } from './worker.ts';

const CLOSE_LIMIT_MS = 10_000;

/** Runs the service in this process until a signal ends it, then stops everything in order. */
export async function runProcess(config: Config, role: Role): Promise<void> {
  const log = openLog(config);
  const stopped = untilStopped();
  {
    await using shutdown = new Shutdown(log);
    try {
      await open({ config, role, log, shutdown, stopping: stopped.signal });
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
}

/** Binds the port, finds or starts the sandbox, and starts the roles of this process. */
async function open(parts: ProcessParts): Promise<void> {
  const { config, role, shutdown, stopping } = parts;
  for (const notice of config.notices) say(notice);
  const hasHost = config.mode === 'sandbox' && findDataDirOwner(config.dataDir) !== null;
  const server = role === 'worker' ? undefined : await openWebServer(config, hasHost);
  if (server !== undefined) shutdown.add('the port', server.close);
  const installation =
    config.mode === 'sandbox' ? await openSandboxInstallation(config, say, stopping) : undefined;
  if (installation?.role === 'join') say(`Joining the installation that runs on ${installation.dataDir}`);
  if (installation !== undefined) shutdown.add('the sandbox and its database', installation.stop);
  const waiter = { say, signal: stopping };
  const connections = installation?.connections ?? (await openConnections(config as LiveConfig, waiter));
  await start({ ...parts, server, connections, installation });
}

interface StartParts extends ProcessParts {
  /** Has already bound the port; undefined for a worker. */
  server: WebServer | undefined;
  connections: Connections;
  installation: SandboxInstallation | undefined;
}

async function start(parts: StartParts): Promise<void> {
  const { config, role, server, connections, installation, shutdown, stopping } = parts;
  const waiter = { say, signal: stopping };
  const opened = await openBackend(parts, waiter);
  const clock = openClock({ ...parts, database: opened.database });
  shutdown.add('the clock', clock.stop);
  const backend = { ...opened, clock };
  const { database, events } = backend;
  const served = server === undefined ? undefined : serveHttp({ ...parts, ...backend, server });
  const publicUrl = served?.url ?? installation?.publicUrl ?? config.publicUrl;
  shutdown.add('the metrics of this process', startSending({ ...parts, ...backend, publicUrl }).stop);
  if (installation !== undefined) {
    const sandbox = installation.serve(served ?? { url: config.publicUrl, port: config.port });
    await waitFor('the sandbox', sandbox, waiter);
  }
  // A clock that was moved before a restart must not seem to jump while the worker decides.
  await clock.refresh();
  const lost = watchForLostState({ database, log: parts.log, hetzner: openHetzner(connections) });
  shutdown.add('the look for earlier servers', lost.stop);
  const problems = role === 'api' ? [] : await startWork({ ...parts, ...backend, publicUrl }, waiter);
  shutdown.add('the terminal', followOnTerminal({ database, events, say }));
  announceStart({ installation, role, url: served?.url, problems });
  await showAgents(database);
  if (installation?.role === 'host' && role !== 'worker' && wantsDemoOrder(config))
    await placeDemoOrder({ database, connections, say });
}

/** Undefined where only the GitHub runners have the key. */
const openHetzner = ({ missingKeys, hcloud }: Connections) =>
  missingKeys.length === 0 ? createHetznerClient(hcloud) : undefined;

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
  await waitFor('the database migrations', migrateDatabase(connections.databaseUrl), waiter);
  const checked = checkInstallation(database, config, connections);
  const isTailnetSilent = await waitFor('the installation checks', checked, waiter);
  // The processes that accept orders choose the executor and the limits, not a worker that joins.
  if (role !== 'worker' && installation?.role !== 'join') {
    await chooseExecutor(database, config.executor);
    await applyLimits(database, config.limits, config.billing.plans.servers);
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

type ServeParts = StartParts & Backend & { server: WebServer; clock: Clock };

function serveHttp(parts: ServeParts): { url: string; port: number } {
  const { config, server, connections, shutdown, log, stopping } = parts;
  const { database } = parts;
  // Registered last, so that it closes before everything it depends on.
  shutdown.add('the web server', server.close);
  // With PORT=0, the port is known only now.
  const publicUrl = config.port === 0 ? config.publicUrl.replace(/:0$/, `:${server.port}`) : config.publicUrl;
  const payments = openFollowing(parts);
  const isStillWanted = payments && createLastCheck(payments);
  const { isTraced } = parts.telemetry;
  const { remote, close } = openRemote({ ...parts, isStillWanted, isTraced });
  shutdown.add('the Pulumi state connection', close);
  const { queue, events, clock } = parts;
  const app = createApp({
    ...{ database, queue, log, clock, events },
    apiToken: connections.apiToken,
    viewerToken: config.viewerToken,
    programToken: config.programToken,
    auditKey: deriveAuditKey(connections.pulumi.passphrase),
    webhookSecrets: connections.stripe.webhookSecrets,
    remote,
    missingKeys: connections.missingKeys,
    mode: actsOnTestEvents(config) ? 'sandbox' : 'live',
    actsOnPast: actsOnPast(config),
    plans: config.billing.plans,
    followsPayments: payments?.billing === 'act',
    pricesDecide: payments?.pricesDecide,
    publicUrl,
    playbookVersion: versionOf(parts),
    trustedProxies: config.trustedProxies,
    checkoutUrl: connections.checkoutUrl,
    rebuildState: openRebuilding(parts),
    makeBackup: openBackups(parts),
    ...pageSettings(parts),
    stopping,
    isTraced,
  });
  server.serve(app);
  return { url: publicUrl, port: server.port };
}

/**
 * How the pages look and where they link to. Only a live installation's agents are in the clouds' consoles.
 */
function pageSettings({ config, connections, installation }: StartParts) {
  const isLive = config.mode === 'live';
  return {
    machines: installation?.machines,
    buyerPage: config.buyerPage,
    consoles: isLive ? toConsoles(config.hetznerProjectId, connections.tailscale) : undefined,
  };
}

/** Live mode logs to standard error for a collector; sandbox mode to a file, to keep the terminal clear. */
function openLog(config: Config): Log {
  if (config.mode !== 'sandbox') return createLog();
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  return createLog(join(config.dataDir, 'logs', 'service.log'));
}
