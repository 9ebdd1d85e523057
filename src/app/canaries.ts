import { startCanaries } from '../canary/loop.ts';
import { createHetznerClient } from '../hetzner/hetzner.ts';
import type { IsDue, Repeating } from '../processes/repeat.ts';
import type { ServiceDeps } from './service-deps.ts';

/** Starts canaries and takes them to their end. `isDue`: whether one runs. */
export function openCanaries(
  { config, connections, database, queue, log, clock }: ServiceDeps,
  isDue: IsDue,
): Repeating {
  const hetzner = createHetznerClient(connections.hcloud.projects[0]);
  const { canary } = config;
  return startCanaries({ database, queue, log, canary, hetzner, now: () => clock.now() }, isDue);
}
