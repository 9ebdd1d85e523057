import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config, Role } from '../config/config.ts';
import { type Connections, toWatched } from '../connections/connections.ts';
import type { Database } from '../database/connect.ts';
import { errorMessage } from '../errors.ts';
import { createCredentials } from '../http/credentials.ts';
import { readDatabaseFamilies } from '../http/metrics/database-families.ts';
import { openMetricsServer } from '../http/metrics/metrics-server.ts';
import type { Log } from '../log.ts';
import { startTraceExport } from '../operations/traces/export-traces.ts';
import type { Clock } from '../processes/clock.ts';
import { type Repeating, repeatEvery } from '../processes/repeat.ts';
import { type Otlp, openOtlp } from '../telemetry/otlp.ts';
import { addNodeMetrics, readProcessFamilies } from '../telemetry/process-metrics.ts';

/** What this process tells a collector. */
export interface Telemetry {
  /** Whether traces are collected: only then does an attempt record spans. */
  isTraced: boolean;
  otlp: Otlp | undefined;
  stop(): Promise<void>;
}

const STOP_MS = 1_000;

/** Opens the connection to the collector; without one, nothing of OpenTelemetry is loaded. */
export async function openTelemetry({ config, role }: { config: Config; role: Role }): Promise<Telemetry> {
  addNodeMetrics();
  const settings = config.telemetry.otlp;
  if (settings === undefined) return { isTraced: false, otlp: undefined, stop: async () => {} };
  const instanceId = `${hostname()}:${process.pid}:${randomUUID().slice(0, 8)}`;
  const otlp = await openOtlp(settings, { role, instanceId, version: readVersion() });
  return { isTraced: true, otlp, stop: () => briefly(otlp.stop()) };
}

/** A collector that does not answer must not hold up the end of the process: traces wait in the database. */
async function briefly(work: Promise<unknown>): Promise<void> {
  await Promise.race([work, sleep(STOP_MS, undefined, { ref: false })]);
}

function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return String((JSON.parse(text) as { version?: unknown }).version ?? 'unknown');
}

export interface SendingParts {
  config: Config;
  role: Role;
  telemetry: Telemetry;
  connections: Pick<Connections, 'apiToken' | 'hcloud' | 'missingKeys'>;
  database: Database;
  clock: Clock;
  /** Where the dashboard is, for links. */
  operatorUrl: string;
  log: Log;
}

/**
 * Sends metrics, and, from workers, traces; serves this process's metrics on a port of their own. What the
 * database knows is sent by the processes that serve HTTP, as they answer it on `/metrics`.
 */
export function startSending(parts: SendingParts): { stop(): Promise<void> } {
  const { config, role, telemetry, connections, log } = parts;
  const { otlp } = telemetry;
  const running: Repeating[] = [];
  if (otlp !== undefined) running.push(sendMetrics(parts, otlp));
  if (otlp !== undefined && role !== 'api') running.push(startTraceExport({ ...parts, otlp }));
  const { metricsPort } = config.telemetry;
  if (metricsPort !== undefined)
    running.push(
      openMetricsServer({
        host: config.host,
        port: metricsPort,
        credentials: createCredentials({ ...parts, ...config, apiToken: connections.apiToken }),
        log,
      }),
    );
  return {
    stop: async () => {
      await briefly(Promise.all(running.map((one) => one.stop())));
    },
  };
}

function sendMetrics(
  { config, role, connections, database, clock, log }: SendingParts,
  otlp: Otlp,
): Repeating {
  let isAway = false;
  return repeatEvery(config.telemetry.otlp!.metricIntervalMs / 1000, async () => {
    try {
      const families = await readProcessFamilies();
      if (role !== 'worker')
        families.push(
          ...(await readDatabaseFamilies({
            database,
            watched: toWatched(connections),
            at: clock.now(),
          })),
        );
      await otlp.sendMetrics(families);
      isAway = false;
    } catch (error) {
      // One warning for one outage.
      const text = 'could not send metrics';
      if (!isAway) log.warn({ event: 'telemetry.metrics_failed', error: errorMessage(error) }, text);
      isAway = true;
    }
  });
}
