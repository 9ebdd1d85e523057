import type { Connections } from '../connections/connections.ts';
import type { Database } from '../database/connect.ts';
import { createHetznerClient } from '../hetzner/hetzner.ts';
import type { Log } from '../log.ts';
import { checkHetznerProject } from '../reconcile/project.ts';
import { type Sweeping, startSweeping } from '../reconcile/sweep/schedule.ts';
import type { SweepDeps } from '../reconcile/sweep/sweep.ts';
import { createTailscaleClient } from '../tailscale/tailscale.ts';

interface Deps {
  connections: Connections;
  database: Database;
  log: Log;
}

/**
 * Checks the Hetzner projects and starts the sweep. Both need the clouds' API keys, so they are disabled if
 * only the GitHub runners have the keys.
 */
export async function startCloudSweep({ connections, database, log }: Deps): Promise<Sweeping | undefined> {
  const { missingKeys } = connections;
  if (missingKeys.length > 0) {
    log.warn(
      { event: 'sweep.disabled', missingKeys },
      `sweep disabled: ${missingKeys.join(' and ')} not configured`,
    );
    return undefined;
  }
  await Promise.all(
    connections.hcloud.projects.map((project) =>
      checkHetznerProject({ database, project: project.name, hetzner: createHetznerClient(project), log }),
    ),
  );
  return startSweeping({ database, log, openClouds: sweptClouds(connections) });
}

/** Returns a factory of cloud clients for a sweep, which counts every call. */
function sweptClouds({ hcloud, tailscale }: Connections): SweepDeps['openClouds'] {
  return (watches) => ({
    projects: new Map(
      hcloud.projects.map((project) => [
        project.name,
        createHetznerClient(project, watches.project(project.name)),
      ]),
    ),
    tailscale: createTailscaleClient(tailscale, watches.tailscale),
  });
}
