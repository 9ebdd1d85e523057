import { canOpen, createRecordSeal } from '../agents/record-seal.ts';
import { createVault } from '../agents/secrets.ts';
import { createSnapshotSeal } from '../agents/snapshot-seal.ts';
import { readFoundSession } from '../billing/settle-order.ts';
import type { Config } from '../config/config.ts';
import type { Connections } from '../connections/connections.ts';
import { actsOnTestEvents } from '../connections/rehearsal.ts';
import type { Database } from '../database/connect.ts';
import type { SshKey } from '../hetzner/hetzner.ts';
import type { HttpDeps } from '../http/deps.ts';
import type { Log } from '../log.ts';
import type { Clock } from '../processes/clock.ts';
import type { Repeating } from '../processes/repeat.ts';
import type { Queue } from '../queue/queue.ts';
import { startKeepingRecords } from '../reconcile/records.ts';
import { type RebuildDeps, rebuildState } from '../recovery/rebuild-state.ts';
import { removeLeftoverSlot } from '../recovery/remove-slot.ts';
import { startKeepingSeals } from '../snapshots/seals.ts';
import { readCompletedSession } from '../stripe/list-sessions.ts';
import { createTailscaleClient } from '../tailscale/tailscale.ts';
import { clientsOf } from './open-projects.ts';

interface Deps {
  config: Config;
  connections: Connections;
  database: Database;
  queue: Queue;
  log: Log;
  clock: Clock;
}

/** What reads the clouds to find rows again; both undefined where only the GitHub runners have their keys. */
export function openRecovery({
  config,
  connections,
  database,
  queue,
  clock,
}: Omit<Deps, 'log'>): Pick<HttpDeps, 'rebuildState' | 'removeSlot'> {
  if (connections.missingKeys.length > 0) return {};
  const { hcloud, tailscale, pulumi } = connections;
  const deps: RebuildDeps = {
    database,
    queue,
    clock,
    clouds: { projects: clientsOf(hcloud.projects), tailscale: createTailscaleClient(tailscale) },
    vault: createVault(pulumi.keyring),
    seal: createRecordSeal(pulumi.keyring),
    snapshotSeal: createSnapshotSeal(pulumi.keyring),
    orders: orderDeps(config, connections),
  };
  return {
    rebuildState: (request) => rebuildState(deps, request),
    removeSlot: (request) => removeLeftoverSlot(deps, request),
  };
}

/** Recognizes the SSH keys whose record is sealed under this installation's passphrase. */
export function recognizeOwn({ pulumi }: Pick<Connections, 'pulumi'>): (key: SshKey) => Promise<boolean> {
  const seal = createRecordSeal(pulumi.keyring);
  return ({ name, labels }) => canOpen(seal, name, labels);
}

/** What asks Stripe about the session of an order that a lost database had. */
export function openSessions({ config, connections }: Pick<Deps, 'config' | 'connections'>): {
  findSession: HttpDeps['findSession'];
} {
  const asked = orderDeps(config, connections);
  return {
    findSession:
      asked &&
      (async (sessionId) =>
        readFoundSession(await readCompletedSession(asked.stripe, sessionId), asked.mode)),
  };
}

/** Undefined where Stripe cannot be asked: a rehearsal's key is known only to its sandbox. */
function orderDeps(config: Config, { stripe }: Connections): RebuildDeps['orders'] {
  const { secretKey, apiUrl } = stripe;
  if (config.mode === 'rehearsal' && apiUrl === undefined) return undefined;
  const mode = actsOnTestEvents(config) ? 'sandbox' : 'live';
  return { stripe: { secretKey, apiUrl }, mode, plans: config.billing.plans };
}

type KeeperDeps = Pick<Deps, 'connections' | 'database' | 'log'>;

/** Keeps at Hetzner what a rebuild needs of agents' snapshots; undefined as for `startRecords`. */
export function startSeals(deps: KeeperDeps): Repeating | undefined {
  const common = keeperParts(deps);
  return common && startKeepingSeals({ ...common, seal: createSnapshotSeal(common.keyring) });
}

/** Keeps at Hetzner what a rebuild needs; undefined where only the GitHub runners have the key. */
export function startRecords(deps: KeeperDeps): Repeating | undefined {
  const common = keeperParts(deps);
  if (common === undefined) return undefined;
  const { keyring } = common;
  return startKeepingRecords({ ...common, vault: createVault(keyring), seal: createRecordSeal(keyring) });
}

function keeperParts({ connections, database, log }: KeeperDeps) {
  const { missingKeys, hcloud, pulumi } = connections;
  if (missingKeys.length > 0) return undefined;
  return { database, log, projects: clientsOf(hcloud.projects), keyring: pulumi.keyring };
}
