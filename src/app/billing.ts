import type { FollowDeps } from '../billing/follow/deps.ts';
import { startFollowing } from '../billing/follow/follower.ts';
import { throughBreakers } from '../billing/follow/hold-changes.ts';
import { createStillWanted } from '../billing/follow/still-wanted.ts';
import { createPolicy } from '../billing/policy.ts';
import type { Config } from '../config/config.ts';
import type { Connections } from '../connections/connections.ts';
import { actsOnTestEvents } from '../connections/rehearsal.ts';
import type { Database } from '../database/connect.ts';
import type { StillWanted } from '../limits/release.ts';
import type { Log } from '../log.ts';
import { leavePayments } from '../operations/follow-holds.ts';
import { type Clock, systemClock } from '../processes/clock.ts';
import type { IsDue } from '../processes/repeat.ts';
import type { Queue } from '../queue/queue.ts';
import { startFollowingHolds } from '../reconcile/holds.ts';

interface Deps {
  config: Config;
  connections: Connections;
  database: Database;
  queue: Queue;
  log: Log;
  /** The time of business decisions; default: the system's. */
  clock?: Clock | undefined;
}

/**
 * What following payments needs; undefined if it is off, or if Stripe cannot be asked: a rehearsal's key is
 * known only to its sandbox.
 */
export function openFollowing(deps: Deps): FollowDeps | undefined {
  const { config, connections, database, queue, log, clock = systemClock } = deps;
  const { mode, durations, plans, cancelsOnDestroy } = config.billing;
  const { stripe } = connections;
  if (mode === 'off' || (config.mode === 'rehearsal' && stripe.apiUrl === undefined)) return undefined;
  return {
    database,
    queue,
    log,
    clock,
    stripe,
    policy: createPolicy(durations, plans),
    plans,
    pricesDecide: mode === 'act' && Object.keys(plans.ofPrice).length > 0,
    billing: mode,
    actsOnPast: actsOnPast(config),
    onDestroy: cancelsOnDestroy ? 'cancel' : 'flag',
    mailsBuyers: config.outgoing.mail !== undefined,
    events: actsOnTestEvents(config) ? 'sandbox' : 'live',
  };
}

/** A sandbox is as old as its installation: nothing in it is older. */
export function actsOnPast(config: Config): boolean {
  return config.mode === 'sandbox' || config.billing.actsOnPast;
}

/**
 * What asks whether an approved change is still wanted. Where nothing is acted on, one for want of payment
 * waits.
 */
export function openStillWanted(payments: FollowDeps | undefined): StillWanted {
  if (payments?.billing === 'act') return createStillWanted(payments);
  const forPayments = ['suspend', 'hibernate', 'destroy'];
  return (_agentId, kind) => (forPayments.includes(kind) ? 'later' : true);
}

/** Starts what follows payments, and what brings agents in line with their holds. */
export async function startFollowers(
  { database, queue, log, clock = systemClock }: Deps,
  payments: FollowDeps | undefined,
  isDue?: IsDue,
): Promise<{ stop(): Promise<void> }> {
  if (payments === undefined)
    log.warn(
      { event: 'billing.disabled' },
      'payments are not followed: BILLING=off, or Stripe is out of reach',
    );
  const following = payments && (await startFollowing(payments, isDue));
  // Where nothing is acted on, a payment hold from before suspends nothing either.
  const request = payments?.billing === 'act' ? throughBreakers(clock) : leavePayments;
  const holds = startFollowingHolds({ database, queue, log, request });
  return {
    stop: async () => {
      await Promise.all([following?.stop(), holds.stop()]);
    },
  };
}
