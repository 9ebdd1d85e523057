import type { Config } from '../config/config.ts';
import type { Connections } from '../connections/connections.ts';
import type { Database } from '../database/connect.ts';
import { createHetznerClient } from '../hetzner/hetzner.ts';
import type { Probe } from '../reconcile/checks/probe.ts';
import {
  hetznerProbe,
  pluginsProbe,
  stripeProbe,
  tailnetProbe,
  tailscaleProbe,
} from '../reconcile/checks/probes.ts';
import type { TailnetNode } from '../tailnet/node.ts';
import { createTailscaleClient } from '../tailscale/tailscale.ts';

/**
 * Returns the checks that must pass before a worker in live mode or in a rehearsal claims an operation.
 * Sandbox mode needs none, because it has set everything up itself.
 */
export function liveProbes(deps: {
  config: Config;
  connections: Connections;
  database: Database;
  node: TailnetNode | undefined;
}): Probe[] {
  const { config, connections, database, node } = deps;
  const { stripe, machines, providerHost } = connections;
  const { PULUMI_HOME, HOME, PATH } = config.childEnvironment;
  const locations = { pulumiHome: PULUMI_HOME, home: HOME, path: PATH, cli: config.tools.pulumi };
  // A rehearsal's key is known only to its sandbox, so it can be checked only if the sandbox's URL is known.
  const isStripeKnown = config.mode === 'live' || stripe.apiUrl !== undefined;
  return [
    hetznerProbe({ database, hetzner: createHetznerClient(connections.hcloud) }),
    tailscaleProbe(createTailscaleClient(connections.tailscale)),
    ...(machines === 'simulated' ? [] : [tailnetProbe(node)]),
    ...(providerHost === undefined ? [pluginsProbe(locations)] : []),
    ...(isStripeKnown ? [stripeProbe(stripe)] : []),
  ];
}
