import { tmpdir } from 'node:os';
import type { Config } from '../../config/config.ts';
import { PASSPHRASE } from '../../config/secrets-provider.ts';
import type { Connections } from '../../connections/connections.ts';
import type { Database } from '../../database/connect.ts';
import { createHetznerClient } from '../../hetzner/hetzner.ts';
import type { TailnetNode } from '../../tailnet/node.ts';
import { createTailscaleClient } from '../../tailscale/tailscale.ts';
import { backupProbe, readBackups } from './backup-probe.ts';
import { privilegesProbe, stateNameProbe } from './database-probes.ts';
import { clockProbe, diskProbe } from './host-probes.ts';
import type { Probe } from './probe.ts';
import { hetznerProbe, pluginsProbe, stripeProbe, tailnetProbe, tailscaleProbe } from './probes.ts';
import { stateKeyProbe } from './state-key-probe.ts';

export interface LiveProbeDeps {
  config: Config;
  connections: Connections;
  database: Database;
  node: Pick<TailnetNode, 'isUp'> | undefined;
}

/**
 * Returns the quick checks, which a worker in live mode or in a rehearsal repeats every minute, and before it
 * claims an operation. Sandbox mode needs none, because it has set everything up itself.
 */
export function liveProbes(deps: LiveProbeDeps): Probe[] {
  const { config, connections, database, node } = deps;
  return [
    ...connections.hcloud.projects.map((project, _, { length }) =>
      hetznerProbe(
        { database, hetzner: createHetznerClient(project) },
        { project: project.name, isOneOfSeveral: length > 1 },
      ),
    ),
    tailscaleProbe(createTailscaleClient(connections.tailscale)),
    ...(connections.machines === 'simulated' ? [] : [tailnetProbe(node)]),
    ...pluginProbes(config, connections),
    ...stripeProbes(config, connections),
    privilegesProbe({ url: connections.databaseUrl, stateUrl: connections.pulumi.url }),
    stateNameProbe(connections.pulumi.url),
    ...stateKeyProbes(config),
    ...hostProbes(config, connections),
    backupsProbe(config, database),
  ];
}

/** The official plugins; the builtin providers are a part of this project. */
export function pluginProbes({ childEnvironment, tools }: Config, { providerHost }: Connections): Probe[] {
  if (providerHost !== undefined) return [];
  const { PULUMI_HOME, HOME, PATH } = childEnvironment;
  return [pluginsProbe({ pulumiHome: PULUMI_HOME, home: HOME, path: PATH, cli: tools.pulumi })];
}

/** The key that encrypts the state, where there is one. */
export function stateKeyProbes({ pulumi: { secrets }, tools, childEnvironment }: Config): Probe[] {
  if (secrets.url === PASSPHRASE) return [];
  return [stateKeyProbe({ secrets, pulumi: tools.pulumi, environment: childEnvironment })];
}

/**
 * A rehearsal's key is known only to its sandbox, so it can be checked only if the sandbox's URL is known.
 */
export function stripeProbes({ mode }: Config, { stripe }: Connections): Probe[] {
  return mode === 'live' || stripe.apiUrl !== undefined ? [stripeProbe(stripe)] : [];
}

const STRIPE_API = 'https://api.stripe.com';

export function hostProbes(config: Config, { hcloud, tailscale, stripe }: Connections): Probe[] {
  const { dataDir, cacheDir, mode } = config;
  // A rehearsal calls nothing outside this machine.
  const stripeUrl = stripe.apiUrl ?? (mode === 'live' ? STRIPE_API : undefined);
  return [
    diskProbe([dataDir, cacheDir, tmpdir()]),
    clockProbe([hcloud.endpoint, tailscale.baseUrl, ...(stripeUrl === undefined ? [] : [stripeUrl])]),
  ];
}

export const backupsProbe = ({ expectedBackups }: Config, database: Database): Probe =>
  backupProbe(readBackups(database, expectedBackups.record), expectedBackups.mostHours);
