import { isDeepStrictEqual } from 'node:util';
import type { TailscaleAccount } from '../config/accounts.ts';
import type { Config } from '../config/config.ts';
import { tokenVariable } from '../config/hetzner-projects.ts';
import { type Connections, projectNamed } from '../connections/connections.ts';
import { openConnections } from '../connections/rehearsal.ts';
import type { Database } from '../database/connect.ts';
import { checkStamp } from '../database/stamp.ts';
import { errorMessage } from '../errors.ts';
import { createHetznerClient } from '../hetzner/hetzner.ts';
import type { Log } from '../log.ts';
import type { Probe } from '../reconcile/checks/probe.ts';
import { hetznerProbe, stripeProbe, tailscaleProbe } from '../reconcile/checks/probes.ts';
import { projectsProbe } from '../reconcile/checks/projects-probe.ts';
import { askIdentities } from '../reconcile/live-identities.ts';
import type { Secret } from '../secret.ts';
import { createTailscaleClient } from '../tailscale/tailscale.ts';

export interface ReloadDeps {
  config: Config;
  connections: Connections;
  database: Database;
  log: Log;
  /** Reads the configuration again; undefined: nothing of it is in a file. */
  reread: (() => Config) | undefined;
}

/**
 * Takes new credentials of the clouds and of Stripe over at SIGHUP, without a restart. Work in progress goes
 * on with what it began with, and everything after it uses the new ones.
 */
export function startReloading(deps: ReloadDeps): { stop(): Promise<void> } {
  const { reread, log } = deps;
  if (reread === undefined || deps.config.mode === 'sandbox') return { stop: async () => {} };
  let underWay = Promise.resolve();
  const reload = async () => {
    try {
      const changed = await reloadCredentials({ ...deps, reread });
      const text = changed.length === 0 ? 'no credential has changed' : `new: ${changed.join(', ')}`;
      log.info({ event: 'credentials.reloaded', changed }, text);
    } catch (error) {
      const why = errorMessage(error);
      log.error({ event: 'credentials.refused', error: why }, `the credentials stay as they were: ${why}`);
    }
  };
  const onHangUp = () => {
    underWay = underWay.then(reload);
  };
  process.on('SIGHUP', onHangUp);
  return {
    stop: async () => {
      process.off('SIGHUP', onHangUp);
      await underWay;
    },
  };
}

/**
 * Reads the credentials again, checks the new ones by calls that change nothing, and replaces all of them or
 * none. The clients read them at each call.
 * @returns what is new, by the names of the variables
 * @throws Error if one is refused, belongs to another account, or needs a restart
 */
export async function reloadCredentials(
  deps: Omit<ReloadDeps, 'reread' | 'log'> & { reread: () => Config },
): Promise<string[]> {
  const { connections, database } = deps;
  const config = deps.reread();
  if (config.mode === 'sandbox') throw new Error('MODE has changed: restart this process');
  const found = await openConnections(config);
  refuseOthers(connections, found);
  const changes = listChanges(connections, found, database);
  if (changes.length === 0) return [];
  for (const { names, probes } of changes) await check(names, probes);
  const { identities, unknown } = await askIdentities(config, found);
  await checkStamp(database, { mode: config.mode, accounts: found.accounts, identities, unknown });
  for (const { replace } of changes) replace();
  return changes.map(({ names }) => names);
}

/** Where the clouds are is for a restart, and so is a credential that was not there before. */
function refuseOthers(now: Connections, found: Connections): void {
  const fixed = ({ hcloud, tailscale, stripe, missingKeys }: Connections) => [
    hcloud.endpoint,
    hcloud.projects.map(({ token: _, ...project }) => project),
    tailscale.baseUrl,
    tailscale.tailnet,
    stripe.apiUrl,
    missingKeys,
  ];
  if (!isDeepStrictEqual(fixed(now), fixed(found)))
    throw new Error(
      'An endpoint, the tailnet, the Hetzner projects or which credentials there are has changed: restart this process',
    );
}

interface Change {
  names: string;
  /** None: the value cannot be tried out. */
  probes: readonly Probe[];
  replace(): void;
}

function listChanges(now: Connections, found: Connections, database: Database): Change[] {
  const { hcloud, tailscale, stripe } = found;
  const all: (Change & { differs: boolean })[] = [
    ...now.hcloud.projects.map((project) => {
      const { token } = projectNamed(hcloud.projects, project.name);
      const next = { ...project, token };
      return {
        names: tokenVariable(project.name),
        differs: isOther(project.token, token),
        probes: [
          hetznerProbe(
            { database, hetzner: createHetznerClient(next) },
            { project: project.name, isOneOfSeveral: now.hcloud.projects.length > 1 },
          ),
          projectsProbe(hcloud.projects),
        ],
        replace: () => Object.assign(project, { token }),
      };
    }),
    {
      names: 'TAILSCALE_OAUTH_CLIENT_ID, TAILSCALE_OAUTH_CLIENT_SECRET or TAILSCALE_API_KEY',
      differs: isOtherCredential(now.tailscale, tailscale),
      probes: [tailscaleProbe(createTailscaleClient(tailscale))],
      replace: () => Object.assign(now.tailscale, { credential: tailscale.credential }),
    },
    {
      names: 'STRIPE_SECRET_KEY',
      differs: isOther(now.stripe.secretKey, stripe.secretKey),
      probes: [stripeProbe(stripe)],
      replace: () => Object.assign(now.stripe, { secretKey: stripe.secretKey }),
    },
    {
      names: 'STRIPE_WEBHOOK_SECRET',
      differs: !isDeepStrictEqual(reveal(now.stripe.webhookSecrets), reveal(stripe.webhookSecrets)),
      probes: [],
      // The routes have this very list.
      replace: () => now.stripe.webhookSecrets.splice(0, Infinity, ...stripe.webhookSecrets),
    },
  ];
  return all.filter(({ differs }) => differs);
}

const reveal = (secrets: readonly Secret[]) => secrets.map((secret) => secret.reveal());
const isOther = (one: Secret, other: Secret) => one.reveal() !== other.reveal();

function isOtherCredential({ credential: one }: TailscaleAccount, { credential: other }: TailscaleAccount) {
  if (one.kind === 'api-key' && other.kind === 'api-key') return isOther(one.key, other.key);
  if (one.kind !== 'oauth' || other.kind !== 'oauth') return true;
  return one.clientId !== other.clientId || isOther(one.clientSecret, other.clientSecret);
}

async function check(names: string, probes: readonly Probe[]): Promise<void> {
  try {
    for (const probe of probes) await probe.look();
  } catch (error) {
    throw new Error(`${names}: ${errorMessage(error)}`, { cause: error });
  }
}
