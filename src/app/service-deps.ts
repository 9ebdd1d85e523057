import type { Config } from '../config/config.ts';
import type { Connections } from '../connections/connections.ts';
import type { Database } from '../database/connect.ts';
import type { Log } from '../log.ts';
import type { EventHub } from '../operations/events/event-hub.ts';
import type { Clock } from '../processes/clock.ts';
import type { Queue } from '../queue/queue.ts';
import type { Telemetry } from './telemetry.ts';

/** What the worker's parts share. */
export interface ServiceDeps {
  config: Config;
  connections: Connections;
  database: Database;
  queue: Queue;
  log: Log;
  /** The time that business decisions use. */
  clock: Clock;
  /** Wakes the loops when something waits. */
  events: EventHub;
  /** The URL under which callbacks reach the service. */
  publicUrl: string;
  /** Where traces and metrics go. */
  telemetry: Telemetry;
}
