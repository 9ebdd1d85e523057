import type { FoundSession } from '../billing/settle-order.ts';
import type { BuyerPage } from '../config/buyer-page.ts';
import type { Consoles } from '../config/consoles.ts';
import type { TrustedProxies } from '../config/fields.ts';
import type { PlanRules } from '../config/plans.ts';
import type { SignInConfig } from '../config/sign-in.ts';
import type { Watched } from '../connections/connections.ts';
import type { Database } from '../database/connect.ts';
import type { RemoteDeps } from '../executors/github-actions/deps.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { Log } from '../log.ts';
import type { EventHub } from '../operations/events/event-hub.ts';
import type { SharedFeed } from '../operations/events/shared-feed.ts';
import { type Clock, systemClock } from '../processes/clock.ts';
import type { Queue } from '../queue/queue.ts';
import type { AdoptionPlan, AdoptionRequest, BegunAdoption } from '../recovery/adopt-server.ts';
import type { Rebuilt } from '../recovery/rebuild-state.ts';
import type { SlotRemoval } from '../recovery/remove-slot.ts';
import type { Secret } from '../secret.ts';

export { type BuyerPage, type BuyerTexts, NO_BUYER_PAGE } from '../config/buyer-page.ts';
export type { Consoles } from '../config/consoles.ts';

/** Dependencies of the routes. */
export interface HttpDeps {
  database: Database;
  queue: Queue;
  log: Log;
  /** The time of business decisions; default: the system's. */
  clock?: Clock | undefined;
  events: EventHub;
  /** Shared by all who listen to this process; default: everyone has one of their own. */
  feed?: SharedFeed | undefined;
  apiToken: Secret;
  /** A token that only reads; undefined: there is none. */
  viewerToken?: Secret | undefined;
  /** A token for programs, which act harmlessly and propose the rest; undefined: there is none. */
  programToken?: Secret | undefined;
  /** Several while a secret is being rolled. */
  webhookSecrets: readonly Secret[];
  /** Verifies the chain over the audit log. */
  keyring: Keyring;
  /** For attempts on GitHub's runners; undefined if no secret is configured to verify their messages with. */
  remote?: RemoteDeps | undefined;
  /** Cloud keys that only the runners have; without them this service does not sweep the clouds. */
  missingKeys?: readonly string[] | undefined;
  /** What it watches; default: everything. */
  watched?: Watched | undefined;
  mode: 'sandbox' | 'live';
  /** Whether a checkout's metadata may name the plan; default: yes. */
  plans?: Pick<PlanRules, 'metadata'> | undefined;
  /** Whether orders from before this installation are acted on too; default true. */
  actsOnPast?: boolean | undefined;
  /** Whether the service itself acts on payments; default: yes. Otherwise people release their holds. */
  followsPayments?: boolean | undefined;
  /** Whether the price of an order's subscription decides its plan; default: no. */
  pricesDecide?: boolean | undefined;
  /** The base of callbacks and links to this service, without a trailing slash. */
  publicUrl: string;
  /**
   * The base of links to dashboard and API, where they have a listener of their own; default: `publicUrl`.
   */
  operatorUrl?: string | undefined;
  /** The version of the playbook that new servers are configured with; undefined if it is not known here. */
  playbookVersion?: string | undefined;
  /** Ways to sign in besides tokens; default: none. */
  signIn?: SignInConfig | undefined;
  /** Makes a backup; undefined: it is not configured where to. */
  makeBackup?: (() => Promise<{ backupId: number }>) | undefined;
  /** Rebuilds rows from what is in the clouds; undefined: they cannot be asked from here. */
  rebuildState?: ((request: { actor: string; apply: boolean }) => Promise<Rebuilt>) | undefined;
  /** Asks Stripe about a session whose order is not in the database; undefined: Stripe cannot be asked. */
  findSession?: ((sessionId: string) => Promise<FoundSession | undefined>) | undefined;
  /** Removes a server of the pool that has lost its row; undefined: as above. */
  removeSlot?: ((request: { slotId: string; actor: string }) => Promise<SlotRemoval>) | undefined;
  /** Adopts servers that were made by hand; undefined: the clouds cannot be asked from here. */
  adoptions?:
    | {
        plan(request: AdoptionRequest): Promise<AdoptionPlan>;
        request(request: AdoptionRequest): Promise<BegunAdoption>;
      }
    | undefined;
  /** Proxies whose `X-Forwarded-For` is trusted, as in Express's `trust proxy`; none by default. */
  trustedProxies?: TrustedProxies | undefined;
  /** The sandbox's checkout page, linked from the dashboard. */
  checkoutUrl?: string | undefined;
  /** The sandbox's kind of machines, shown on every page. Undefined in live mode. */
  machines?: 'simulated' | 'real' | undefined;
  /** Whether traces are collected. */
  isTraced?: boolean | undefined;
  /** How the buyer's page looks; default: as built in. */
  buyerPage?: BuyerPage | undefined;
  /** The clouds' consoles, which an agent's page links to; none in the sandbox. */
  consoles?: Consoles | undefined;
  /** Aborted when the process stops, to end event streams, which would otherwise stay open. */
  stopping?: AbortSignal | undefined;
}

/** How people reach dashboard and API. */
export function operatorUrlOf({
  operatorUrl,
  publicUrl,
}: Pick<HttpDeps, 'operatorUrl' | 'publicUrl'>): string {
  return operatorUrl ?? publicUrl;
}

/** The time of business decisions. */
export function businessNow({ clock = systemClock }: Pick<HttpDeps, 'clock'>): Date {
  return clock.now();
}
