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

/** What a worker of live mode, or of a rehearsal, must find well before it takes an operation. Sandbox mode made all of it itself. */
export function liveProbes(deps: {
  config: Config;
  connections: Connections;
  database: Database;
  node: TailnetNode | undefined;
}): Probe[] {
  const { config, connections, database, node } = deps;
  const { stripe, machines, providerHost } = connections;
  const { PULUMI_HOME, HOME, PATH } = config.childEnvironment;
  const places = { pulumiHome: PULUMI_HOME, home: HOME, path: PATH, cli: config.tools.pulumi };
  // Elsewhere than at Stripe's own address a key is known to nobody but a sandbox that has told where it is.
  const isStripeKnown = config.mode === 'live' || stripe.apiUrl !== undefined;
  return [
    hetznerProbe({ database, hetzner: createHetznerClient(connections.hcloud) }),
    tailscaleProbe(createTailscaleClient(connections.tailscale)),
    ...(machines === 'simulated' ? [] : [tailnetProbe(node)]),
    ...(providerHost === undefined ? [pluginsProbe(places)] : []),
    ...(isStripeKnown ? [stripeProbe(stripe)] : []),
  ];
}
