import type { FollowDeps } from '../billing/follow/deps.ts';
import { createPolicy } from '../billing/policy.ts';
import type { Config } from '../config/config.ts';
import type { Connections } from '../connections/connections.ts';
import { actsOnTestEvents } from '../connections/rehearsal.ts';
import type { Database } from '../database/connect.ts';
import type { Log } from '../log.ts';
import { type Clock, systemClock } from '../processes/clock.ts';
import type { Queue } from '../queue/queue.ts';

/**
 * What following payments needs; undefined if it is off, or if Stripe cannot be asked: a rehearsal's key is
 * known only to its sandbox.
 */
export function openFollowing(deps: {
  config: Config;
  connections: Connections;
  database: Database;
  queue: Queue;
  log: Log;
  clock?: Clock | undefined;
}): FollowDeps | undefined {
  const { config, connections, database, queue, log, clock = systemClock } = deps;
  const { mode, durations, cancelsOnDestroy } = config.billing;
  const { secretKey, apiUrl } = connections.stripe;
  if (mode === 'off' || (config.mode === 'rehearsal' && apiUrl === undefined)) return undefined;
  return {
    database,
    queue,
    log,
    clock,
    stripe: { secretKey, apiUrl },
    policy: createPolicy(durations),
    billing: mode,
    actsOnPast: actsOnPast(config),
    onDestroy: cancelsOnDestroy ? 'cancel' : 'flag',
    events: actsOnTestEvents(config) ? 'sandbox' : 'live',
  };
}

/** A sandbox is as old as its installation: nothing in it is older. */
export function actsOnPast(config: Config): boolean {
  return config.mode === 'sandbox' || config.billing.actsOnPast;
}
