import { InvalidInputError } from '../../errors.ts';
import type { StripeEvent } from '../../stripe/event.ts';
import { listUndeliveredEvents } from '../../stripe/undelivered-events.ts';
import { type Outcome, recordStripeEvent } from '../record.ts';
import { alone, type LastRun, lastRun, recordRun } from './alone.ts';
import type { FollowDeps } from './deps.ts';

const NAME = 'undelivered events';
const INTERVAL_SECONDS = 600;

/**
 * Every ten minutes, also of a clock that is moved, fetches the events that Stripe could not deliver, and
 * records them as if they had been. One that is known already changes nothing.
 * @returns how many were new; undefined if it was not time
 */
export async function fetchUndelivered(
  deps: FollowDeps,
  { intervalSeconds = INTERVAL_SECONDS }: { intervalSeconds?: number } = {},
): Promise<number | undefined> {
  const last = await lastRun(deps.database, NAME);
  if (last !== undefined && ageSeconds(last, deps.clock.now()) < intervalSeconds) return undefined;
  return alone(deps.database, NAME, async () => {
    // Before the calls, so that a refusal is not repeated at once.
    await recordRun(deps.database, NAME, deps.clock.now());
    let found = 0;
    for await (const page of listUndeliveredEvents(deps.stripe)) found += await recordPage(deps, page);
    return found;
  });
}

/** By the clock that has gone further. */
function ageSeconds(last: LastRun, now: Date): number {
  return Math.max(last.ageSeconds, (now.getTime() - last.businessAt.getTime()) / 1000);
}

async function recordPage(deps: FollowDeps, page: readonly StripeEvent[]): Promise<number> {
  const known = await findKnown(deps, page);
  let found = 0;
  // In the order in which they happened, as far as one page goes.
  for (const event of page.filter(({ id }) => !known.has(id)).reverse()) {
    const outcome = await recordOne(deps, event);
    if (outcome === undefined || outcome.outcome === 'known') continue;
    found += 1;
    deps.log.info(
      { event: 'stripe.fetched', stripeEventId: event.id, type: event.type, ...outcome },
      'fetched an event that Stripe could not deliver',
    );
  }
  return found;
}

/** @returns undefined for an event that is malformed: it is refused here as at the webhook. */
async function recordOne(deps: FollowDeps, event: StripeEvent): Promise<Outcome | undefined> {
  try {
    return await recordStripeEvent(deps, event, deps.events);
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    deps.log.warn(
      { event: 'stripe.refused', stripeEventId: event.id, type: event.type, reason: error.message },
      'refused a Stripe event',
    );
    return undefined;
  }
}

async function findKnown({ database }: FollowDeps, page: readonly StripeEvent[]): Promise<Set<string>> {
  if (page.length === 0) return new Set();
  const ids = page.map(({ id }) => id);
  const rows = await database.selectFrom('stripe_events').select('id').where('id', 'in', ids).execute();
  return new Set(rows.map(({ id }) => id));
}
