import { sql } from 'kysely';
import { errorMessage } from '../../errors.ts';
import { readCustomerOfCharge } from '../../stripe/read-charge.ts';
import { signalSubscriptions } from '../subscriptions.ts';
import { pauseSeconds } from './claims.ts';
import type { FollowDeps } from './deps.ts';

const AT_ONCE = 20;

/**
 * Looks up whose charges the events are about that name only a charge, and signals the customers'
 * subscriptions. A kill leaves the row, and it is looked up again.
 * @returns how many were resolved
 */
export async function resolveSignals(deps: FollowDeps): Promise<number> {
  const { database, log, stripe } = deps;
  const due = await database
    .selectFrom('unresolved_signals')
    .selectAll()
    .where('retry_at', '<=', sql<Date>`now()`)
    .orderBy('retry_at')
    .limit(AT_ONCE)
    .execute();
  let resolved = 0;
  for (const { stripe_event_id: eventId, charge_id: chargeId, failures } of due) {
    try {
      const customerId = await readCustomerOfCharge(stripe, chargeId);
      await database.transaction().execute(async (trx) => {
        await signalSubscriptions(trx, { customerId });
        await trx.deleteFrom('unresolved_signals').where('stripe_event_id', '=', eventId).execute();
      });
      resolved += 1;
    } catch (error) {
      const seconds = pauseSeconds(error, failures);
      await database
        .updateTable('unresolved_signals')
        .set({ failures: failures + 1, retry_at: sql<Date>`now() + make_interval(secs => ${seconds})` })
        .where('stripe_event_id', '=', eventId)
        .execute();
      log.warn(
        { event: 'billing.unresolved', stripeEventId: eventId, error: errorMessage(error) },
        'could not look up whose charge an event is about',
      );
    }
  }
  return resolved;
}
