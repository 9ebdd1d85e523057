import type { Config } from '../../config/config.ts';
import type { Connections } from '../../connections/connections.ts';
import type { Probe } from '../../reconcile/checks/probe.ts';
import { tailnetProbe } from '../../reconcile/checks/probes.ts';
import { createLocalApi } from '../../tailnet/local-api.ts';
import { findHostNode, isRunning } from '../../tailnet/node.ts';
import { locateOnHost } from '../../tailnet/tailscaled-location.ts';
import { findRunning } from '../ssh/route.ts';

/**
 * Finds out whether this host is on the tailnet: by its own tailscaled, by the one of a service that runs
 * here, or by its routes. Undefined where it does not matter, or where a worker will run a node of its own.
 */
export async function findTailnetProbe(config: Config, connections: Connections): Promise<Probe | undefined> {
  const { machines, networkUrl, tailscale } = connections;
  if (machines === 'simulated') return undefined;
  const socket = await findRunning(config.dataDir);
  if (socket !== undefined) return tailnetProbe({ isUp: () => isRunning(createLocalApi(socket)) });
  if (networkUrl !== undefined) return undefined;
  const here = locateOnHost(config.childEnvironment.PATH, tailscale.loginServer);
  const host = await findHostNode(here?.tailscale);
  return host === undefined && here !== undefined ? undefined : tailnetProbe(host);
}
