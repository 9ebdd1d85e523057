import { type EngineConnections, projectNamed } from '../connections/connections.ts';
import { createHetznerClient } from '../hetzner/hetzner.ts';
import type { RunbookParts } from '../operations/runbook-parts.ts';

/** Returns what opens the client of a project, once for each. */
export function openProjects({ hcloud }: EngineConnections): NonNullable<RunbookParts['openProject']> {
  const clients = new Map(
    hcloud.projects.map((project) => [project.name, createHetznerClient(project)] as const),
  );
  return (name) => clients.get(projectNamed(hcloud.projects, name).name)!;
}
