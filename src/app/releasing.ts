import type { Connections } from '../connections/connections.ts';
import type { Database } from '../database/connect.ts';
import { createHetznerClient } from '../hetzner/hetzner.ts';
import type { StillWanted } from '../limits/release.ts';
import { startReleasing } from '../limits/release-loop.ts';
import type { Log } from '../log.ts';
import { type Clock, systemClock } from '../processes/clock.ts';
import type { IsDue } from '../processes/repeat.ts';
import type { Queue } from '../queue/queue.ts';

interface Deps {
  connections: Connections;
  database: Database;
  queue: Queue;
  log: Log;
  clock?: Clock | undefined;
}

/**
 * Lets approved changes go. `stillWanted` is asked just before each; default: yes. Without Hetzner's key the
 * prices stay unknown, and a limit on costs holds every new server.
 */
export function openReleasing(
  { connections, database, queue, log, clock = systemClock }: Deps,
  stillWanted?: StillWanted,
  isDue?: IsDue,
): { stop(): Promise<void> } {
  // Prices are the same in all projects.
  const known = connections.hcloud.projects.find(({ token }) => token.reveal() !== '');
  const hetzner = known === undefined ? undefined : createHetznerClient(known);
  return startReleasing({ database, queue, log, clock, hetzner, stillWanted }, { isDue });
}
