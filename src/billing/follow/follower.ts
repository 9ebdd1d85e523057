import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../database/connect.ts';
import { errorMessage, RateLimitedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { Clock } from '../../processes/clock.ts';
import type { IsDue } from '../../processes/repeat.ts';
import { linkKnownAgents } from '../subscriptions.ts';
import { claimDue } from './claims.ts';
import type { FollowDeps } from './deps.ts';
import { type LookOutcome, lookAt } from './look.ts';
import { compareNightly } from './nightly.ts';
import { resolveSignals } from './resolve.ts';
import { fetchUndelivered } from './undelivered.ts';
import { reportUnreadable } from './unreadable.ts';

export interface Following {
  /** Waits for what is under way. */
  stop(): Promise<void>;
}

/** How many agents one process reads at once. Stripe allows a hundred calls a second. */
const CONCURRENCY = 4;
const POLL_SECONDS = 1;
const REGULAR_SECONDS = 30;
/** It reports what has lasted for an hour. */
const UNREADABLE_SECONDS = 300;
/** A loop that keeps failing waits for at most this many of its usual pauses. */
const MOST_PAUSES = 60;

/**
 * Follows the payments: looks at subscriptions that are due, fetches undelivered events, and compares
 * everything once a day. The workers of an installation share the work.
 * @param isDue whether a subscription may have to be looked at
 */
export async function startFollowing(deps: FollowDeps, isDue: IsDue = () => true): Promise<Following> {
  await prepareFollowing(deps);
  const stopping = new AbortController();
  const loops = [
    repeat(deps, stopping.signal, POLL_SECONDS, async () => {
      if (!isDue()) return;
      await resolveSignals(deps);
      await lookAtDue(deps, stopping.signal);
    }),
    repeat(deps, stopping.signal, REGULAR_SECONDS, () => fetchUndelivered(deps)),
    repeat(deps, stopping.signal, REGULAR_SECONDS, () => compareNightly(deps, stopping.signal)),
    repeat(deps, stopping.signal, UNREADABLE_SECONDS, () => reportUnreadable(deps)),
  ];
  return {
    stop: async () => {
      stopping.abort();
      await Promise.all(loops);
    },
  };
}

/** Notes when this installation began to follow payments, and links the agents it has already. */
export async function prepareFollowing({ database, clock }: Pick<FollowDeps, 'database' | 'clock'>) {
  await setFirstStart(database, clock.now());
  await linkKnownAgents(database);
}

async function setFirstStart(database: Database, now: Date): Promise<void> {
  await database
    .updateTable('installation')
    .set({ billing_since: now })
    .where('billing_since', 'is', null)
    .execute();
}

async function repeat(
  { log, clock }: { log: Log; clock: Clock },
  signal: AbortSignal,
  seconds: number,
  work: () => Promise<unknown>,
): Promise<void> {
  for (let failures = 0; !signal.aborted; ) {
    try {
      await work();
      failures = 0;
      await pauseByEither(clock, seconds, signal);
    } catch (error) {
      const asked = error instanceof RateLimitedError ? error.seconds : 0;
      // A comparison lists everything: it is not repeated at once for ever.
      const pause = Math.max(asked, seconds * Math.min(2 ** failures, MOST_PAUSES));
      failures += 1;
      const text = 'could not follow the payments; it is tried again';
      log.warn({ event: 'billing.follow_failed', error: errorMessage(error) }, text);
      await pauseFor(pause, signal);
    }
  }
}

/** Pauses until the time is over by either clock: that of the business can be moved in a sandbox. */
async function pauseByEither(clock: Clock, seconds: number, signal: AbortSignal): Promise<void> {
  const end = clock.now().getTime() + seconds * 1000;
  for (let left = seconds; left > 0 && clock.now().getTime() < end && !signal.aborted; left -= 1)
    await pauseFor(Math.min(left, 1), signal);
}

async function pauseFor(seconds: number, signal: AbortSignal): Promise<void> {
  await sleep(seconds * 1000, undefined, { signal }).catch(() => {});
}

/**
 * Looks at every agent that is due, a few at once.
 * @returns what came of each look
 */
export async function lookAtDue(deps: FollowDeps, signal?: AbortSignal): Promise<LookOutcome[]> {
  const outcomes: LookOutcome[] = [];
  while (signal?.aborted !== true) {
    const claimed = await claimDue(deps.database, deps.clock.now(), CONCURRENCY);
    if (claimed.length === 0) break;
    outcomes.push(...(await Promise.all(claimed.map((agent) => lookAt(deps, agent)))));
  }
  return outcomes;
}
