import { sql } from 'kysely';
import type { Transaction } from '../database/connect.ts';
import { type BreakerName, CREATES_LOCK, LOCK_CLASS } from './breakers.ts';
import { countChanges, isRate } from './room.ts';
import { computeSpend, dearestServer, type PricedChange } from './spend.ts';

/** So many orders may be on their way to their commits at once without being counted one after the other. */
const SLOTS = 32;
const SLOT_CLASS = LOCK_CLASS + 1;

/** `heldBy`: the breaker that holds the order back; undefined if it may go. */
export interface QuickAnswer {
  heldBy: BreakerName | undefined;
}

/**
 * Decides about an order without waiting for other orders, as long as there is room for all that may be on
 * their way: each of those has a slot, so their number is known although their rows are not visible yet, and
 * none costs more than the dearest server. Near a limit, without the price, and if all slots are taken, the
 * caller counts under the breaker's lock, which waits for every order here. So the limits are kept exactly. A
 * tripped breaker holds without waiting, too.
 * @returns undefined if the caller has to count
 */
export async function decideQuickly(
  trx: Transaction,
  order: PricedChange,
  at: Date,
): Promise<QuickAnswer | undefined> {
  // Never released: that would be one more statement, and the end of the transaction does it.
  await sql`savepoint before_quick_order`.execute(trx);
  const answer = (await takeSlot(trx)) ? await decide(trx, order, at) : undefined;
  // Gives the locks back: two orders that waited for each other's would never end.
  if (answer === undefined) await sql`rollback to savepoint before_quick_order`.execute(trx);
  return answer;
}

/**
 * Locks a slot until the transaction ends, and the breaker against being counted.
 * @returns whether it could
 */
async function takeSlot(trx: Transaction): Promise<boolean> {
  const first = Math.floor(Math.random() * SLOTS);
  const { rows } = await sql<{ locked: boolean }>`
    select pg_try_advisory_xact_lock_shared(${LOCK_CLASS}::int, ${CREATES_LOCK}::int) as locked
    from generate_series(0, ${SLOTS - 1}::int) slot
    where pg_try_advisory_xact_lock(${SLOT_CLASS}::int, (slot + ${first}::int) % ${SLOTS}::int) limit 1`.execute(
    trx,
  );
  return rows[0]?.locked === true;
}

/** A statement of its own after the locks: it sees every order that gave its slot back before. */
async function decide(trx: Transaction, order: PricedChange, at: Date): Promise<QuickAnswer | undefined> {
  const breakers = await trx
    .selectFrom('breakers')
    .selectAll()
    .where('name', 'in', ['creates', 'spend'])
    .execute();
  const creates = breakers.filter(isRate).find(({ name }) => name === 'creates');
  const spend = breakers.find(({ name }) => name === 'spend');
  if (creates === undefined || spend === undefined) return undefined;
  if (creates.tripped_at !== null) return { heldBy: 'creates' };
  const { used, allowed } = await countChanges(trx, creates, at);
  if (used + SLOTS > allowed) return undefined;
  if (spend.limit_euros === null && spend.tripped_at === null) return { heldBy: undefined };
  const { now, added, unknown } = await computeSpend(trx, order);
  if (unknown.length > 0 || added <= 0) return undefined;
  if (spend.tripped_at !== null) return { heldBy: 'spend' };
  const most = now + SLOTS * (await dearestServer(trx));
  return most <= Number(spend.limit_euros) ? { heldBy: undefined } : undefined;
}
