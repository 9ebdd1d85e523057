import { sql } from 'kysely';
import type { Transaction } from '../../database/connect.ts';
import { jsonText } from '../../database/storable.ts';
import type { Decision } from '../decision.ts';
import { isBilled } from './choose.ts';
import type { JudgedAgent } from './judge.ts';

const HOUR_MS = 3_600_000;
/** Everything is read again after this, in case an event was lost that no list shows, such as a dispute. */
const LOOK_AGAIN_MS = 7 * 24 * HOUR_MS;
/** While something is owed, or billed for an agent that is destroyed, a subscription is read more often. */
const OWED_AGAIN_MS = 24 * HOUR_MS;
const CANCEL_AGAIN_MS = HOUR_MS / 2;
/** While the plan is not yet what the price says: its resize may have waited, or given way to something. */
export const PLAN_AGAIN_MS = HOUR_MS / 6;

interface StoreOptions {
  would: string[];
  now: Date;
  cancels: boolean;
  planAgainMs: number | undefined;
}

/**
 * Stores what was read and decided about an agent's subscriptions. The caller has locked their rows.
 * @param options `planAgainMs`: when a resize that is wanted is asked for again; undefined: not by itself
 */
export async function storeDecisions(
  trx: Transaction,
  { all, governing, effective, isFromBefore, isDestroyed }: JudgedAgent,
  { would, now, cancels, planAgainMs }: StoreOptions,
): Promise<void> {
  for (const judged of all) {
    const governs = judged.subscriptionId === governing.subscriptionId;
    const { decision } = governs && isFromBefore ? effective : judged;
    const pendingMs = governs && decision.plan !== 'keep' ? planAgainMs : undefined;
    await trx
      .updateTable('subscriptions')
      .set({
        governs,
        view: judged.subscription === 'unknown' ? null : jsonText(judged.subscription),
        fetched_at: sql`now()`,
        seen_signals: judged.row.signals,
        customer_id:
          judged.subscription === 'unknown' ? judged.row.customer_id : judged.subscription.customerId,
        state: judged.decision.state,
        demand: decision.demand,
        unpaid_since: judged.decision.unpaidSince,
        suspend_at: isFromBefore ? null : decision.suspendAt,
        hibernate_at: isFromBefore ? null : decision.hibernateAt,
        delete_at: isFromBefore ? null : decision.deleteAt,
        cancel_at: decision.cancelAt,
        would: jsonText(governs ? would : []),
        next_at:
          isDestroyed && !isBilled(judged.decision)
            ? null
            : nextLook(judged.decision, now, { pendingMs, isBeingCancelled: isDestroyed && cancels }),
        claimed_until: null,
        last_error: null,
        failures: 0,
        error_since: null,
      })
      .where('subscription_id', '=', judged.subscriptionId)
      .execute();
  }
}

function nextLook(
  decision: Decision,
  now: Date,
  { pendingMs, isBeingCancelled }: { pendingMs: number | undefined; isBeingCancelled: boolean },
): Date {
  const isOwed = decision.unpaidSince !== null || decision.demand !== 'run';
  const pauses = [
    LOOK_AGAIN_MS,
    ...(isOwed ? [OWED_AGAIN_MS] : []),
    ...(isBeingCancelled ? [CANCEL_AGAIN_MS] : []),
    ...(pendingMs === undefined ? [] : [pendingMs]),
  ];
  const latest = new Date(now.getTime() + Math.min(...pauses));
  return decision.nextAt !== null && decision.nextAt < latest ? decision.nextAt : latest;
}
