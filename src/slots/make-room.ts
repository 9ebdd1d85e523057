import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import { retireSlot } from './slots.ts';

const PAUSE_MINUTES = 15;
const WHY = 'The Hetzner project has as many servers as it may have, and orders come first';

/**
 * Whether a slot's removal is about to free a place, in SQL: it has, or may have, a server, and its removal
 * has neither failed nor is it stuck.
 */
const isLeaving = sql<boolean>`(status = 'removing' and tries = 0
  and (server_id is not null or inputs is not null) and updated_at > now() - interval '2 minutes')`;

/**
 * Removes a slot, because an order needs its place in a Hetzner project that is full. None of its pools is
 * filled for a while: it would take the place again.
 * @returns whether a place is about to be free
 */
export async function makeRoom(database: Database, project: string): Promise<boolean> {
  return database.transaction().execute(async (trx) => {
    await trx
      .updateTable('pools')
      .set({ error: WHY, paused_until: sql<Date>`now() + make_interval(mins => ${PAUSE_MINUTES})` })
      .where('project', '=', project)
      .execute();
    const { rows: leaving } =
      await sql`select 1 from slots where project = ${project} and ${isLeaving} limit 1`.execute(trx);
    if (leaving.length > 0) return true;
    const oldest = await trx
      .selectFrom('slots')
      .select('slot_id')
      .where('project', '=', project)
      .where('status', '=', 'ready')
      .orderBy('ready_at')
      .limit(1)
      .forUpdate()
      .skipLocked()
      .executeTakeFirst();
    return oldest !== undefined && (await retireSlot(trx, oldest.slot_id, WHY));
  });
}
