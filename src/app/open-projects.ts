import { type EngineConnections, type HetznerProjects, projectNamed } from '../connections/connections.ts';
import { createHetznerClient, type HetznerClient } from '../hetzner/hetzner.ts';
import type { RunbookParts } from '../operations/runbook-parts.ts';

/** A client of each project, by its name. */
export const clientsOf = (projects: HetznerProjects): Map<string, HetznerClient> =>
  new Map(projects.map((project) => [project.name, createHetznerClient(project)]));

/** Returns what opens the client of a project, once for each. */
export function openProjects({ hcloud }: EngineConnections): NonNullable<RunbookParts['openProject']> {
  const clients = clientsOf(hcloud.projects);
  return (name) => clients.get(projectNamed(hcloud.projects, name).name)!;
}
