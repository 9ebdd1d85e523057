import { sql } from 'kysely';
import type { Transaction } from '../../database/connect.ts';
import type { StillWanted } from '../../limits/release.ts';
import { DEMANDS } from '../decision.ts';
import { signalIds } from '../subscriptions.ts';
import type { FollowDeps } from './deps.ts';

/** From the mildest to the hardest. */
const HARSHNESS: readonly string[] = DEMANDS;

/** A decision from an older look at Stripe does no harm. */
const FRESH_SECONDS = 600;

/** A subscription, and how far what was decided about it can still be trusted. */
interface Known {
  subscriptionId: string;
  /** What it demands; null if it does not govern. */
  demand: string | null;
  /** A look at it is due anyway. */
  isDue: boolean;
  /** The last look failed; the next one comes after a pause. */
  hasFailed: boolean;
  isOld: boolean;
}

/**
 * Whether the last decision about an agent still wants a change that a breaker has held back. Asks the rows
 * alone: one from an outdated look is answered with `later`, and a fresh look is asked for, unless one is due
 * already. A destroy is asked for at Stripe once more by its own last check.
 */
export function createStillWanted({ database, clock }: Pick<FollowDeps, 'database' | 'clock'>): StillWanted {
  return async (agentId, kind) => {
    const asked = HARSHNESS.indexOf(kind);
    // Only these kinds are demanded by a subscription.
    if (asked < 1) return true;
    return database.transaction().execute(async (trx) => {
      const known = await readKnown(trx, agentId, clock.now());
      if (known.some(({ isDue, hasFailed, isOld }) => isDue || hasFailed || isOld)) {
        await askAgain(trx, known);
        return 'later';
      }
      const demand = known.find((one) => one.demand !== null)?.demand;
      return HARSHNESS.indexOf(demand ?? '') >= asked;
    });
  };
}

/** All subscriptions of the agent, locked: any of them may make the decision milder. `now`: business time. */
async function readKnown(trx: Transaction, agentId: string, now: Date): Promise<Known[]> {
  const { rows } = await sql<Known>`
    select subscription_id as "subscriptionId",
      case when governs then demand end as demand,
      signals > seen_signals or coalesce(next_at <= ${now}, false) as "isDue",
      last_error is not null as "hasFailed",
      fetched_at is null or fetched_at < now() - make_interval(secs => ${FRESH_SECONDS}) as "isOld"
    from subscriptions where agent_id = ${agentId}
    order by subscription_id for no key update`.execute(trx);
  return rows;
}

/** All subscriptions of an agent are read together, so the pause after a failure of one counts for all. */
async function askAgain(trx: Transaction, known: readonly Known[]): Promise<void> {
  if (known.some(({ hasFailed }) => hasFailed)) return;
  const old = known.filter(({ isDue, isOld }) => isOld && !isDue);
  await signalIds(
    trx,
    old.map(({ subscriptionId }) => subscriptionId),
  );
}
