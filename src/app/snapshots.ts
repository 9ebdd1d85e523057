import { createVault } from '../agents/secrets.ts';
import { projectNamed } from '../connections/connections.ts';
import { createDrillCalls } from '../hetzner/drill-calls.ts';
import { createHetznerClient } from '../hetzner/hetzner.ts';
import { startDrills, startSnapshots } from '../snapshots/loop.ts';
import { isScheduled } from '../snapshots/schedule.ts';
import type { Pulse } from './pulse.ts';
import type { ServiceDeps } from './service-deps.ts';

/** Has agents' snapshots made and removed, and shown to be of use. */
export function openSnapshots(
  { config, connections, database, log }: ServiceDeps,
  pulse: Pulse,
): { stop(): Promise<void> } | undefined {
  // As the sweep: without the keys nothing could be removed.
  if (connections.missingKeys.length > 0) return undefined;
  const { projects } = connections.hcloud;
  const clients = new Map(
    projects.map((project) => [
      project.name,
      { ...createHetznerClient(project), ...createDrillCalls(project) },
    ]),
  );
  const openProject = (name: string) => clients.get(projectNamed(projects, name).name)!;
  const policy = config.snapshots;
  const isDue = () => isScheduled(policy) || pulse.isDue('snapshots');
  const snapshots = startSnapshots({ database, openProject, policy, log }, undefined, isDue);
  const drilled = {
    ...{ database, openProject, log, everyMs: config.drillEveryMs },
    vault: createVault(connections.pulumi.keyring),
    switchesItselfOff: connections.machines !== 'simulated',
  };
  const drills = startDrills(drilled, () => pulse.isDue('drill'));
  return { stop: async () => void (await Promise.all([snapshots.stop(), drills.stop()])) };
}
