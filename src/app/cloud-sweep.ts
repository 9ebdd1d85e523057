import { TAILSCALE_KEY } from '../config/accounts.ts';
import type { Connections, HetznerProject } from '../connections/connections.ts';
import type { Database } from '../database/connect.ts';
import { createHetznerClient } from '../hetzner/hetzner.ts';
import type { Log } from '../log.ts';
import { checkHetznerProject, OtherProjectError } from '../reconcile/project.ts';
import { type Sweeping, startSweeping } from '../reconcile/sweep/schedule.ts';
import type { SweepDeps } from '../reconcile/sweep/sweep.ts';
import type { Secret } from '../secret.ts';
import { createTailscaleClient } from '../tailscale/tailscale.ts';

interface Deps {
  connections: Connections;
  database: Database;
  log: Log;
}

/**
 * Checks the Hetzner projects and starts the sweep. Both need the clouds' API keys: projects whose token only
 * the GitHub runners have are left out, and without Tailscale's key, or any token, the sweep is disabled.
 */
export async function startCloudSweep(deps: Deps): Promise<Sweeping | undefined> {
  const { connections, database, log } = deps;
  const { missingKeys } = connections;
  const projects = connections.hcloud.projects.filter(({ token }) => token.reveal() !== '');
  if (missingKeys.includes(TAILSCALE_KEY) || projects.length === 0) {
    log.warn(
      { event: 'sweep.disabled', missingKeys },
      `sweep disabled: ${missingKeys.join(' and ')} not configured`,
    );
    return undefined;
  }
  if (missingKeys.length > 0)
    log.warn(
      { event: 'sweep.partial', missingKeys },
      `the sweep leaves Hetzner projects out: ${missingKeys.join(' and ')} not configured`,
    );
  const foreign = await findForeign(deps, projects);
  return startSweeping({ database, log, openClouds: sweptClouds(connections, { projects, foreign }) });
}

/**
 * Finds the tokens of other Hetzner projects: swept with one, all agents' servers would look gone. With
 * several projects the others go on, and a check makes the operations in this one wait.
 * @throws OtherProjectError if the only project's token is one
 */
export async function findForeign(
  { connections, database, log }: Deps,
  projects: readonly HetznerProject[],
): Promise<Set<Secret>> {
  const foreign = new Set<Secret>();
  await Promise.all(
    projects.map(async (project) => {
      const { name, token } = project;
      try {
        await checkHetznerProject({ database, project: name, hetzner: createHetznerClient(project), log });
      } catch (error) {
        if (!(error instanceof OtherProjectError) || connections.hcloud.projects.length === 1) throw error;
        foreign.add(token);
        log.error({ event: 'sweep.foreign_project', project: name, error: error.message }, error.message);
      }
    }),
  );
  return foreign;
}

interface Swept {
  projects: readonly HetznerProject[];
  /** Projects are left out until they have another token. */
  foreign: ReadonlySet<Secret>;
}

/** Returns a factory of cloud clients for a sweep, which counts every call. */
export function sweptClouds(
  { tailscale }: Pick<Connections, 'tailscale'>,
  { projects, foreign }: Swept,
): SweepDeps['openClouds'] {
  return (watches) => ({
    projects: new Map(
      projects
        .filter(({ token }) => !foreign.has(token))
        .map((project) => [project.name, createHetznerClient(project, watches.project(project.name))]),
    ),
    tailscale: createTailscaleClient(tailscale, watches.tailscale),
  });
}
