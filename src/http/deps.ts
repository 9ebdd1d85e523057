import type { TrustedProxies } from '../config/fields.ts';
import type { Database } from '../database/connect.ts';
import type { RemoteDeps } from '../executors/github-actions/deps.ts';
import type { Log } from '../log.ts';
import type { EventHub } from '../operations/events/event-hub.ts';
import type { Queue } from '../queue/queue.ts';
import type { Secret } from '../secret.ts';

/** What the routes work with. */
export interface HttpDeps {
  database: Database;
  queue: Queue;
  log: Log;
  events: EventHub;
  apiToken: Secret;
  /** Several while a secret rolls. */
  webhookSecrets: readonly Secret[];
  /** For attempts on GitHub's runners; undefined where their messages can be trusted by nothing. */
  remote?: RemoteDeps | undefined;
  /** Keys to the clouds that this service is without, where the runners have them: it does not look at the clouds then. */
  missingKeys?: readonly string[] | undefined;
  mode: 'sandbox' | 'live';
  /** How callbacks and links reach this service, without a slash at the end. */
  publicUrl: string;
  /** Whose `X-Forwarded-For` counts, as Express's `trust proxy`; nobody's by default. */
  trustedProxies?: TrustedProxies | undefined;
  /** The sandbox's checkout page, linked from the dashboard. */
  checkoutUrl?: string | undefined;
  /** What stands behind the sandbox's servers; said on every page. Undefined in live mode. */
  machines?: 'simulated' | 'real' | undefined;
  /** Aborted when the process stops: event streams end, which otherwise never would. */
  stopping?: AbortSignal | undefined;
}
