import { createVault } from '../agents/secrets.ts';
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
  const client = createHetznerClient(connections.hcloud);
  const policy = config.snapshots;
  const isDue = () => isScheduled(policy) || pulse.isDue('snapshots');
  const snapshots = startSnapshots({ database, hetzner: client, policy, log }, undefined, isDue);
  const drilled = {
    hetzner: { ...client, ...createDrillCalls(connections.hcloud) },
    vault: createVault(connections.pulumi.keyring),
    switchesItselfOff: connections.machines !== 'simulated',
    everyMs: config.drillEveryMs,
  };
  const drills = startDrills({ database, log, ...drilled }, () => pulse.isDue('drill'));
  return { stop: async () => void (await Promise.all([snapshots.stop(), drills.stop()])) };
}
