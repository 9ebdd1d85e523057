import { createHetznerClient } from '../hetzner/hetzner.ts';
import type { IsDue, Repeating } from '../processes/repeat.ts';
import { startSnapshots } from '../snapshots/loop.ts';
import { isScheduled } from '../snapshots/schedule.ts';
import type { ServiceDeps } from './service-deps.ts';

/** Has agents' snapshots made and removed. `isDue`: whether one is being made, or is to go. */
export function openSnapshots(
  { config, connections, database, log }: ServiceDeps,
  isDue: IsDue,
): Repeating | undefined {
  // As the sweep: without the key nothing could be removed.
  if (connections.missingKeys.length > 0) return undefined;
  const hetzner = createHetznerClient(connections.hcloud);
  const policy = config.snapshots;
  return startSnapshots({ database, hetzner, policy, log }, undefined, () => isScheduled(policy) || isDue());
}
