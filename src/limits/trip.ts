import { sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import type { Transaction } from '../database/connect.ts';
import { queueNotice } from '../notices/queue-notice.ts';
import type { BreakerName } from './breakers.ts';
import { CURES } from './words.ts';

/**
 * closed → tripped, or tripped again after what was approved has gone; one notice each time. The caller has
 * locked the breaker.
 */
export async function trip(
  trx: Transaction,
  name: BreakerName,
  { cause, at }: { cause: string; at: Date },
): Promise<void> {
  const { trips } = await trx
    .updateTable('breakers')
    .set({ tripped_at: at, cause, approved_at: null, trips: sql`trips + 1` })
    .where('name', '=', name)
    .returning('trips')
    .executeTakeFirstOrThrow();
  await audit(trx, { actor: 'service', action: 'breaker.trip', details: { breaker: name, cause } });
  await queueNotice(trx, {
    type: 'breaker.tripped',
    key: `breaker ${name} ${trips}`,
    data: { breaker: name, cause, cure: CURES[name] },
    at,
  });
}

/**
 * Closes a breaker from which a person has released everything, and trips it again if changes have arrived
 * after that approval. No effect while approved changes still wait. The caller has locked the breaker.
 */
export async function settleBreaker(trx: Transaction, name: BreakerName, at: Date): Promise<void> {
  const { rows } = await sql<{ waiting: number; approved: number; later: number }>`
    select count(h.*) as waiting, count(h.approved_at) as approved,
      count(h.*) filter (where h.since > b.approved_at) as later
    from breakers b left join held_changes h on h.breaker = b.name
    where b.name = ${name} and b.approved_at is not null group by b.name`.execute(trx);
  const [held] = rows;
  if (held === undefined || held.approved > 0) return;
  if (held.waiting === 0) return close(trx, name);
  if (held.later > 0) {
    const cause = `What was approved has gone. Meanwhile ${held.later} more changes came to wait.`;
    return trip(trx, name, { cause, at });
  }
  await trx.updateTable('breakers').set({ approved_at: null }).where('name', '=', name).execute();
}

async function close(trx: Transaction, name: BreakerName): Promise<void> {
  await trx
    .updateTable('breakers')
    .set({ tripped_at: null, cause: null, approved_at: null })
    .where('name', '=', name)
    .execute();
  await audit(trx, { actor: 'service', action: 'breaker.close', details: { breaker: name } });
}
