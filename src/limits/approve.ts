import { sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import type { Transaction } from '../database/connect.ts';
import { ConflictError, NotFoundError } from '../errors.ts';
import { type BreakerName, lockBreakers } from './breakers.ts';
import { settleBreaker } from './trip.ts';

/**
 * Lets changes go that wait for a tripped breaker, the oldest first; without a count, all that wait now. They
 * go at the allowed rate. Later ones wait behind them, for another approval.
 * @returns how many were approved now
 * @throws ConflictError if the breaker is not tripped, and nothing waits for it
 */
export async function approveBreaker(
  trx: Transaction,
  { name, count, actor, at }: { name: BreakerName; count?: number | undefined; actor: string; at: Date },
): Promise<number> {
  const [breaker] = await lockBreakers(trx, [name]);
  if (breaker === undefined) throw new NotFoundError(`There is no breaker ${name}`);
  if (breaker.tripped_at === null) await tripForWaiting(trx, name, at);
  const { rows: approved } = await sql`
    update held_changes set approved_at = ${at} where held_change_id in (
      select held_change_id from held_changes where breaker = ${name} and approved_at is null
      order by held_change_id limit ${count ?? null})
    returning held_change_id`.execute(trx);
  await trx.updateTable('breakers').set({ approved_at: at }).where('name', '=', name).execute();
  const details = { breaker: name, count: approved.length };
  await audit(trx, { actor, action: 'breaker.approve', details });
  // With nothing to wait for, it is closed at once.
  await settleBreaker(trx, name, at);
  return approved.length;
}

/**
 * Trips a closed breaker for which a change waits all the same, so that it can be approved like any other.
 * @throws ConflictError if nothing waits
 */
async function tripForWaiting(trx: Transaction, name: BreakerName, at: Date): Promise<void> {
  const { numUpdatedRows } = await trx
    .updateTable('breakers')
    .set({ tripped_at: at, cause: 'Changes wait for this breaker, which is closed.' })
    .where('name', '=', name)
    .where(({ exists, selectFrom }) =>
      exists(selectFrom('held_changes').select('held_change_id').where('breaker', '=', name)),
    )
    .executeTakeFirst();
  if (numUpdatedRows === 0n)
    throw new ConflictError(`The breaker ${name} is not tripped: there is nothing to approve`);
}
