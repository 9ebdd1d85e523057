import { sql } from 'kysely';
import type { Database, Transaction } from '../../database/connect.ts';
import { cutText } from '../../database/storable.ts';
import { errorMessage, RateLimitedError } from '../../errors.ts';
import type { SubscriptionRow } from '../subscriptions.ts';

/** An agent whose subscriptions this process reads now. */
export interface ClaimedAgent {
  agentId: string;
  /** All of its subscriptions, as they were when it was claimed. */
  rows: SubscriptionRow[];
}

/** Longer than reading several subscriptions takes. A process that dies delays its agents by this. */
const CLAIM_SECONDS = 120;
const FIRST_PAUSE_SECONDS = 5;
const LONGEST_PAUSE_SECONDS = 600;
const LONGEST_ERROR = 2_000;

/**
 * Claims agents with a subscription that is due: one that was signalled, or whose next decision may differ by
 * now. The longest due come first, so that a burst delays nobody for long. One that could not be read is due
 * since its retry, so that those that fail again and again do not stand before all others. Concurrent callers
 * get different agents.
 * @param now the business time
 */
export async function claimDue(database: Database, now: Date, limit: number): Promise<ClaimedAgent[]> {
  return database.transaction().execute(async (trx) => {
    // Locks the agent first, as everything does. One that is locked is busy, and tried again soon.
    const { rows: due } = await sql<{ agent_id: string }>`
      select a.agent_id from agents a join (
        select agent_id, max(least(case when failures > 0 then now() - retry_at end, greatest(
          case when signals > seen_signals then now() - signalled_at end,
          ${now}::timestamptz - next_at))) as late
        from subscriptions
        where (signals > seen_signals or next_at <= ${now})
          and retry_at <= now() and (claimed_until is null or claimed_until <= now())
        group by agent_id) due using (agent_id)
      order by due.late desc, a.agent_id limit ${limit} for no key update of a skip locked`.execute(trx);
    if (due.length === 0) return [];
    const ids = due.map((row) => row.agent_id);
    await lockSubscriptions(trx, ids);
    const rows = await trx
      .updateTable('subscriptions')
      .set({
        claim: sql`claim + 1`,
        claimed_until: sql<Date>`now() + make_interval(secs => ${CLAIM_SECONDS})`,
      })
      .where('agent_id', 'in', ids)
      .returningAll()
      .execute();
    const own = Map.groupBy(rows, (row) => row.agent_id);
    return ids.map((agentId) => ({ agentId, rows: own.get(agentId) ?? [] }));
  });
}

/** Returns the agents' subscriptions, locked in one order until the transaction ends. */
export function lockSubscriptions(trx: Transaction, agentIds: readonly string[]): Promise<SubscriptionRow[]> {
  return trx
    .selectFrom('subscriptions')
    .selectAll()
    .where('agent_id', 'in', [...agentIds])
    .orderBy('subscription_id')
    .forNoKeyUpdate()
    .execute();
}

/** Whether nobody else has claimed the agent since, and nothing has been signalled or linked. */
export function isStillCurrent(claimed: ClaimedAgent, current: readonly SubscriptionRow[]): boolean {
  return (
    current.length === claimed.rows.length &&
    claimed.rows.every(({ subscription_id: id, claim, signals }) =>
      current.some((row) => row.subscription_id === id && row.claim === claim && row.signals === signals),
    )
  );
}

/** Gives the agent back, so that it is looked at again at once. No effect if another process has it now. */
export async function releaseClaim(database: Database, { rows }: ClaimedAgent): Promise<void> {
  for (const { subscription_id: id, claim } of rows)
    await database
      .updateTable('subscriptions')
      .set({ claimed_until: null })
      .where('subscription_id', '=', id)
      .where('claim', '=', claim)
      .execute();
}

/** Records that Stripe could not be read, and gives the agent back for later. Its agent stays as it is. */
export async function postponeClaim(
  database: Database,
  { rows }: ClaimedAgent,
  error: unknown,
): Promise<void> {
  const text = cutText(errorMessage(error), LONGEST_ERROR) || 'unknown error';
  for (const { subscription_id: id, claim, failures } of rows)
    await database
      .updateTable('subscriptions')
      .set({
        claimed_until: null,
        last_error: text,
        failures: failures + 1,
        error_since: sql`coalesce(error_since, now())`,
        retry_at: sql<Date>`now() + make_interval(secs => ${pauseSeconds(error, failures)})`,
      })
      .where('subscription_id', '=', id)
      .where('claim', '=', claim)
      .execute();
}

/** How long to wait after a failure, given how many came before it in a row. */
export function pauseSeconds(error: unknown, failures: number): number {
  const asked = error instanceof RateLimitedError ? error.seconds : 0;
  return Math.max(asked, Math.min(FIRST_PAUSE_SECONDS * 2 ** Math.min(failures, 10), LONGEST_PAUSE_SECONDS));
}
