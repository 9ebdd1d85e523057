import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSandboxInstallation, type SandboxInstallation } from '../../sandbox/host/installation.ts';
import { listAgents } from '../agents/store.ts';
import type { Config, LiveConfig, Role } from '../config/config.ts';
import type { Connections } from '../connections/connections.ts';
import { actsOnTestEvents, openConnections } from '../connections/rehearsal.ts';
import { createDatabase, createPool, type Database } from '../database/connect.ts';
import { migrate } from '../database/migrations.ts';
import { openWebServer, type WebServer } from '../http/web-server.ts';
import { createLog, type Log } from '../log.ts';
import { createEventHub, type EventHub } from '../operations/events/event-hub.ts';
import { chooseExecutor } from '../operations/executor-choice.ts';
import { findDataDirOwner } from '../processes/folder-lock.ts';
import { untilStopped } from '../processes/stop-signals.ts';
import { say } from '../processes/terminal-text.mjs';
import { StoppedError, waitFor } from '../processes/waiting.ts';
import { startQueue } from '../queue/queue.ts';
import { explainProblems } from '../reconcile/checks/monitor.ts';
import type { InstallationCheck } from '../reconcile/checks/store.ts';
import { watchStalled } from '../reconcile/stalled.ts';
import { createApp } from './api.ts';
import { checkInstallation, untilTailnetKnown } from './installation-check.ts';
import { openRemote } from './runner-api.ts';
import { placeDemoOrder } from './terminal/demo-order.ts';
import { followOnTerminal } from './terminal/follow.ts';
import { startWorkerRole } from './worker.ts';

/** Closes what has been opened, last first; each is given its turn whatever the others do. */
class Closers {
  readonly #closers: { name: string; close: () => Promise<void> | void }[] = [];

  add(name: string, close: () => Promise<void> | void): void {
    this.#closers.unshift({ name, close });
  }

  /** `patienceMs`: for each; what was begun and not finished may not be able to close. */
  async close(log: Log, patienceMs?: number): Promise<void> {
    for (const { name, close } of this.#closers.splice(0)) {
      try {
        const closed = Promise.resolve(close());
        await (patienceMs === undefined
          ? closed
          : Promise.race([closed, sleep(patienceMs, undefined, { ref: false })]));
      } catch (error) {
        log.warn({ event: 'stop.failed', part: name, error: String(error) }, `${name} did not stop in order`);
      }
    }
  }
}

const CLOSE_PATIENCE_MS = 10_000;

/** Runs the service in this process until a signal ends it, then stops everything in order. */
export async function runProcess(config: Config, role: Role): Promise<void> {
  const closers = new Closers();
  const log = openLog(config);
  const stopped = untilStopped();
  const waiter = { say, signal: stopped.signal };
  let hasStarted = false;
  try {
    for (const notice of config.notices) say(notice);
    const hasHost = config.mode === 'sandbox' && findDataDirOwner(config.dataDir) !== null;
    const server = role === 'worker' ? undefined : await openWebServer(config, hasHost);
    if (server !== undefined) closers.add('the port', server.close);
    const installation =
      config.mode === 'sandbox' ? await openSandboxInstallation(config, say, stopped.signal) : undefined;
    if (installation?.role === 'join') say(`Joining the installation that runs on ${installation.dataDir}`);
    if (installation !== undefined) closers.add('the sandbox and its database', installation.stop);
    const connections = installation?.connections ?? (await openConnections(config as LiveConfig, waiter));
    await start({ config, role, server, connections, installation, closers, log, stopping: stopped.signal });
    hasStarted = true;
    await stopped.promise;
    say('\nStopping: handing back what is under way …');
  } catch (error) {
    if (!(error instanceof StoppedError)) throw error;
  } finally {
    await closers.close(log, hasStarted ? undefined : CLOSE_PATIENCE_MS);
  }
  say('Stopped.');
}

interface StartDeps {
  config: Config;
  role: Role;
  /** Has the port already; undefined for a worker. */
  server: WebServer | undefined;
  connections: Connections;
  installation: SandboxInstallation | undefined;
  closers: Closers;
  log: Log;
  stopping: AbortSignal;
}

async function start({
  config,
  role,
  server,
  connections,
  installation,
  closers,
  log,
  stopping,
}: StartDeps): Promise<void> {
  const pool = createPool(connections.databaseUrl, 12, `agent-stacks ${role}`);
  closers.add('the connections', () => pool.end());
  const database = createDatabase(pool);
  const waiter = { say, signal: stopping };
  await waitFor('the database, to bring its tables up to date', migrate(database), waiter);
  const checked = checkInstallation(database, config, connections);
  const isTailnetSilent = await waitFor('the checks of this installation', checked, waiter);
  // A worker that joins leaves the choice to those who take orders.
  if (role !== 'worker' && installation?.role !== 'join') await chooseExecutor(database, config.executor);
  const queue = await waitFor('the queue', startQueue({ url: connections.databaseUrl, log }), waiter);
  const events = createEventHub({ url: connections.databaseUrl, log });
  closers.add('the event listener', events.close);
  closers.add('the queue', queue.stop);
  closers.add('the watch over waiting operations', watchStalled({ database, log }).stop);

  const served = { config, connections, installation, closers, log, stopping, database, queue, events };
  const url = server === undefined ? undefined : serveHttp({ ...served, server });
  const publicUrl = url?.url ?? installation?.publicUrl ?? config.publicUrl;
  if (installation !== undefined) {
    const sandbox = installation.serve(url ?? { url: config.publicUrl, port: config.port });
    await waitFor('the sandbox', sandbox, waiter);
  }
  let problems: InstallationCheck[] = [];
  if (role !== 'api') {
    // The API has begun: orders are taken meanwhile.
    const known = isTailnetSilent && untilTailnetKnown(database, config, connections, stopping);
    if (known) await waitFor('Tailscale to say which tailnet this is; orders wait', known, waiter);
    const starting = startWorkerRole({ config, connections, database, queue, log, publicUrl });
    // Also where nobody waits for it any more: it hands back what it has taken.
    closers.add('the worker', async () => (await starting).stop());
    const worker = await waitFor('the worker', starting, waiter);
    problems = worker.problems?.() ?? [];
  }
  closers.add('the terminal', followOnTerminal({ database, events, say }));
  announce({ installation, role, url: url?.url, problems });
  await showAgents(database);
  if (installation?.role === 'host' && role !== 'worker')
    await placeDemoOrder({ database, connections, say });
}

interface HttpParts extends Omit<StartDeps, 'role'> {
  server: WebServer;
  database: Database;
  queue: Awaited<ReturnType<typeof startQueue>>;
  events: EventHub;
}

function serveHttp(parts: HttpParts): { url: string; port: number } {
  const { config, server, connections, installation, closers, log, stopping, database, queue, events } =
    parts;
  // Before what it serves from is closed.
  closers.add('the web server', server.close);
  const { port } = server;
  // With PORT=0 the port is known only now.
  const publicUrl = config.port === 0 ? config.publicUrl.replace(/:0$/, `:${port}`) : config.publicUrl;
  const { remote, close } = openRemote({ config, connections, database, log });
  closers.add('the way of runners to the state', close);
  const app = createApp({
    database,
    queue,
    log,
    events,
    apiToken: connections.apiToken,
    webhookSecrets: connections.stripe.webhookSecrets,
    remote,
    missingKeys: connections.missingKeys,
    mode: actsOnTestEvents(config) ? 'sandbox' : 'live',
    publicUrl,
    trustedProxies: config.trustedProxies,
    checkoutUrl: connections.checkoutUrl,
    machines: installation?.machines,
    stopping,
  });
  server.serve(app);
  return { url: publicUrl, port };
}

/** Live mode logs to standard error, for whatever collects it; in the sandbox the terminal is the newcomer's. */
function openLog(config: Config): Log {
  if (config.mode !== 'sandbox') return createLog();
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  return createLog(join(config.dataDir, 'logs', 'service.log'));
}

/** `installation`: undefined in live mode. */
function announce(parts: {
  installation: SandboxInstallation | undefined;
  role: Role;
  url: string | undefined;
  problems: InstallationCheck[];
}): void {
  const { installation, role, url, problems } = parts;
  const explained = explainProblems(problems);
  if (explained !== undefined) say(`\n${explained}`);
  if (url !== undefined) say(`\n  Dashboard     ${url}`);
  if (installation !== undefined) {
    say(`  Credentials   ${join(installation.dataDir, 'sandbox.json')}`);
    say(`  Machines      ${installation.machines}`);
  }
  const waiting = problems.some(({ blocks }) => blocks) ? ', but orders wait' : '';
  say(`  Ready (${role})${waiting}. Ctrl-C stops everything.\n`);
}

const SHOWN_AGENTS = 10;

/** What was there before this start. */
async function showAgents(database: Database): Promise<void> {
  const agents = await listAgents(database, { limit: SHOWN_AGENTS });
  for (const agent of agents)
    say(`  ${agent.agent_id}  ${agent.status}  ${agent.ipv4 ?? ''}  ${agent.tailnet_ip ?? ''}`);
}
