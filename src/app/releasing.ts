import { createHetznerClient } from '../hetzner/hetzner.ts';
import type { StillWanted } from '../limits/release.ts';
import { startReleasing } from '../limits/release-loop.ts';
import { systemClock } from '../processes/clock.ts';
import type { ServiceDeps } from './worker.ts';

/**
 * Lets approved changes go. `stillWanted` is asked just before each; default: yes. Without Hetzner's key the
 * prices stay unknown, and a limit on costs holds every new server.
 */
export function openReleasing(
  { connections, database, queue, log, clock = systemClock }: ServiceDeps,
  stillWanted?: StillWanted,
): { stop(): Promise<void> } {
  const { hcloud, missingKeys } = connections;
  const hetzner = missingKeys.length === 0 ? createHetznerClient(hcloud) : undefined;
  return startReleasing({ database, queue, log, clock, hetzner, stillWanted });
}
