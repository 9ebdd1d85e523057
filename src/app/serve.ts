import type { SandboxInstallation } from '../../sandbox/host/installation.ts';
import { createLastCheck } from '../billing/follow/last-check.ts';
import type { Config } from '../config/config.ts';
import { toConsoles } from '../config/consoles.ts';
import { type Connections, toWatched } from '../connections/connections.ts';
import { actsOnTestEvents } from '../connections/rehearsal.ts';
import type { Database } from '../database/connect.ts';
import type { WebServer } from '../http/web-server.ts';
import type { Log } from '../log.ts';
import type { EventHub } from '../operations/events/event-hub.ts';
import type { Clock } from '../processes/clock.ts';
import type { Queue } from '../queue/queue.ts';
import { openAdopting } from './adopting.ts';
import { createApp, createOperatorApp, createPublicApp, type HttpDeps } from './api.ts';
import { openBackups } from './backing-up.ts';
import { actsOnPast, openFollowing } from './billing.ts';
import { versionOf } from './engine.ts';
import { openRecovery, openSessions } from './rebuilding.ts';
import { openRemote } from './runner-api.ts';
import type { Shutdown } from './shutdown.ts';
import type { Telemetry } from './telemetry.ts';

/** The ports of this process. */
export interface WebServers {
  main: WebServer;
  /** That of dashboard and API, if they have one of their own. */
  operator: WebServer | undefined;
}

export interface ServeParts {
  config: Config;
  servers: WebServers;
  connections: Connections;
  installation: SandboxInstallation | undefined;
  database: Database;
  queue: Queue;
  events: EventHub;
  telemetry: Telemetry;
  clock: Clock;
  log: Log;
  shutdown: Shutdown;
  stopping: AbortSignal;
}

/** Where the service is reached. */
export interface Served {
  url: string;
  port: number;
  /** Where dashboard and API are, if not there. */
  operatorUrl: string | undefined;
}

/** Serves the app on one listener, or on two. */
export function serveHttp(parts: ServeParts): Served {
  const { config, servers, shutdown } = parts;
  const { main, operator } = servers;
  // Registered last, so that they close before everything they depend on.
  shutdown.add('the web server', main.close);
  if (operator !== undefined) shutdown.add('the web server of dashboard and API', operator.close);
  const url = withPort(config.publicUrl, config.port, main);
  const operatorUrl =
    operator && config.operator && withPort(config.operator.url, config.operator.port, operator);
  const deps = openHttpDeps(parts, { url, operatorUrl });
  main.serve(operator === undefined ? createApp(deps) : createPublicApp(deps));
  operator?.serve(createOperatorApp(deps));
  return { url, port: main.port, operatorUrl };
}

/** With PORT=0, the port is known only now. */
function withPort(url: string, configured: number, { port }: WebServer): string {
  return configured === 0 ? url.replace(/:0$/, `:${port}`) : url;
}

function openHttpDeps(
  parts: ServeParts,
  { url, operatorUrl }: Pick<Served, 'url' | 'operatorUrl'>,
): HttpDeps {
  const { config, connections, shutdown, log, stopping, database, queue, events, clock } = parts;
  const payments = openFollowing(parts);
  const isStillWanted = payments && createLastCheck(payments);
  const { isTraced } = parts.telemetry;
  const { remote, close } = openRemote({ ...parts, isStillWanted, isTraced });
  shutdown.add('the Pulumi state connection', close);
  return {
    ...{ database, queue, log, clock, events },
    apiToken: connections.apiToken,
    viewerToken: config.viewerToken,
    programToken: config.programToken,
    keyring: connections.pulumi.keyring,
    webhookSecrets: connections.stripe.webhookSecrets,
    remote,
    missingKeys: connections.missingKeys,
    watched: toWatched(connections),
    mode: actsOnTestEvents(config) ? 'sandbox' : 'live',
    actsOnPast: actsOnPast(config),
    plans: config.billing.plans,
    followsPayments: payments?.billing === 'act',
    pricesDecide: payments?.pricesDecide,
    publicUrl: url,
    operatorUrl,
    playbookVersion: versionOf(parts),
    signIn: config.signIn,
    trustedProxies: config.trustedProxies,
    checkoutUrl: connections.checkoutUrl,
    ...openRecovery(parts),
    ...openSessions(parts),
    adoptions: openAdopting(parts),
    makeBackup: openBackups(parts),
    ...pageSettings(parts),
    stopping,
    isTraced,
  };
}

/**
 * How the pages look and where they link to. Only a live installation's agents are in the clouds' consoles.
 */
function pageSettings({ config, connections, installation }: ServeParts) {
  const isLive = config.mode === 'live';
  return {
    machines: installation?.machines,
    buyerPage: config.buyerPage,
    consoles: isLive ? toConsoles(config.hetznerProjectIds, connections.tailscale) : undefined,
  };
}
