import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import { retireSlot } from './slots.ts';

const PAUSE_MINUTES = 15;
const WHY = 'The Hetzner project has as many servers as it may have, and orders come first';

/**
 * Removes a slot, because an order needs its place in a Hetzner project that is full. No pool is filled for a
 * while: it would take the place again.
 * @returns whether a place is about to be free
 */
export async function makeRoom(database: Database): Promise<boolean> {
  return database.transaction().execute(async (trx) => {
    await trx
      .updateTable('pools')
      .set({ error: WHY, paused_until: sql<Date>`now() + make_interval(mins => ${PAUSE_MINUTES})` })
      .where('size', '>', 0)
      .execute();
    const leaving = await trx
      .selectFrom('slots')
      .select('slot_id')
      .where('status', '=', 'removing')
      .executeTakeFirst();
    if (leaving !== undefined) return true;
    const oldest = await trx
      .selectFrom('slots')
      .select('slot_id')
      .where('status', '=', 'ready')
      .orderBy('ready_at')
      .limit(1)
      .forUpdate()
      .skipLocked()
      .executeTakeFirst();
    return oldest !== undefined && (await retireSlot(trx, oldest.slot_id, WHY));
  });
}
