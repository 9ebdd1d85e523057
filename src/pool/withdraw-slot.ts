import { sql } from 'kysely';
import type { Transaction } from '../database/connect.ts';
import { retireSlot } from '../slots/slots.ts';

/**
 * A slot that is made or waits is no longer wanted: it is removed. One whose making is at work now goes on.
 * @returns whether it is to be removed
 */
export async function withdrawSlot(
  trx: Transaction,
  { slotId, status }: { slotId: string; status: string },
  why: string,
): Promise<boolean> {
  return status === 'ready' ? retireSlot(trx, slotId, why) : giveUpMaking(trx, slotId, why);
}

async function giveUpMaking(trx: Transaction, slotId: string, why: string): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('slots')
    .set({
      status: 'removing',
      // An attempt whose lease has run out must not go on, and its removal begins at once.
      attempt: sql`attempt + 1`,
      worker_id: null,
      lease_until: null,
      tries: 0,
      error: why,
      failure_code: null,
      run_after: sql`now()`,
      updated_at: sql`now()`,
    })
    .where('slot_id', '=', slotId)
    .where('status', '=', 'making')
    .where(sql<boolean>`(lease_until is null or lease_until < now())`)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}
