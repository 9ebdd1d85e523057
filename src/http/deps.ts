import type { TrustedProxies } from '../config/fields.ts';
import type { Database } from '../database/connect.ts';
import type { RemoteDeps } from '../executors/github-actions/deps.ts';
import type { Log } from '../log.ts';
import type { EventHub } from '../operations/events/event-hub.ts';
import type { Clock } from '../processes/clock.ts';
import type { Queue } from '../queue/queue.ts';
import type { Secret } from '../secret.ts';

/** Dependencies of the routes. */
export interface HttpDeps {
  database: Database;
  queue: Queue;
  log: Log;
  /** The time that business decisions use; default: the system's. */
  clock?: Clock | undefined;
  events: EventHub;
  apiToken: Secret;
  /** Several while a secret is being rolled. */
  webhookSecrets: readonly Secret[];
  /** For attempts on GitHub's runners; undefined if no secret is configured to verify their messages with. */
  remote?: RemoteDeps | undefined;
  /** Cloud keys that only the runners have; without them this service does not sweep the clouds. */
  missingKeys?: readonly string[] | undefined;
  mode: 'sandbox' | 'live';
  /** The base of callbacks and links to this service, without a trailing slash. */
  publicUrl: string;
  /** Proxies whose `X-Forwarded-For` is trusted, as in Express's `trust proxy`; none by default. */
  trustedProxies?: TrustedProxies | undefined;
  /** The sandbox's checkout page, linked from the dashboard. */
  checkoutUrl?: string | undefined;
  /** The sandbox's kind of machines, shown on every page. Undefined in live mode. */
  machines?: 'simulated' | 'real' | undefined;
  /** Aborted when the process stops, to end event streams, which would otherwise stay open. */
  stopping?: AbortSignal | undefined;
}
