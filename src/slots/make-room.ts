import { type RawBuilder, sql } from 'kysely';
import type { Database, Transaction } from '../database/connect.ts';
import { mayHaveServer } from './places.ts';
import type { SlotWork } from './slots.ts';

const PAUSE_MINUTES = 15;
/** A removal that takes longer is stuck: nobody counts on its place. */
const LEAVING_MINUTES = 2;
const WHY = 'The Hetzner project has as many servers as it may have, and orders come first';

/** Whether a slot's removal is about to free a place, in SQL. */
const isLeaving: RawBuilder<boolean> = sql<boolean>`(status = 'removing' and tries = 0 and ${mayHaveServer}
  and removing_since > now() - make_interval(mins => ${sql.lit(LEAVING_MINUTES)}))`;

/**
 * Removes slots, because operations need their places in a Hetzner project that is full: as many as want one
 * (`operations.room`), less those that are leaving already. None of the project's pools is filled for a
 * while: it would take the places again.
 * @returns whether a slot has a place, or may have one, that is or can be freed
 */
export async function makeRoom(database: Database, project: string): Promise<boolean> {
  return database.transaction().execute(async (trx) => {
    // Operations that find the project full at the same moment each count what the others have retired.
    await sql`select pg_advisory_xact_lock(hashtext('room'), hashtext(${project}))`.execute(trx);
    await trx
      .updateTable('pools')
      .set({ error: WHY, paused_until: sql<Date>`now() + make_interval(mins => ${PAUSE_MINUTES})` })
      .where('project', '=', project)
      .execute();
    const { rows } = await sql<{ missing: number }>`
      select ((select count(*) from operations o join agents a using (agent_id)
          where a.project = ${project} and o.room = 'wanted')
        - (select count(*) from slots where project = ${project} and ${isLeaving}))::int as missing`.execute(
      trx,
    );
    await retire(trx, project, Math.max(0, rows[0]?.missing ?? 0));
    const { rows: holding } = await sql`select 1 from slots where project = ${project}
      and status in ('making', 'ready', 'removing') and ${mayHaveServer} limit 1`.execute(trx);
    return holding.length > 0;
  });
}

/**
 * Those that wait first, the oldest before the others: they surely have a server. The removal of one whose
 * making is at work begins when that attempt has ended: it must not create anything after the removal.
 */
async function retire(trx: Transaction, project: string, count: number): Promise<void> {
  await sql`
    with chosen as (
      select slot_id from slots where project = ${project} and status in ('making', 'ready') and ${mayHaveServer}
      order by status = 'making', coalesce(ready_at, created_at) limit ${count} for update skip locked)
    update slots s set status = 'removing', tries = 0, step = null, check_at = null, error = ${WHY},
      failure_code = null, attempt = attempt + (case when status = 'making' then 1 else 0 end),
      run_after = greatest(now(), lease_until), worker_id = null, lease_until = null, updated_at = now()
    from chosen where s.slot_id = chosen.slot_id`.execute(trx);
}

/**
 * An attempt has ended without success. If its slot was given up meanwhile, the removal need not wait until
 * the attempt's lease would have run out.
 */
export async function releaseGivenUp(database: Database, { slotId, attempt }: SlotWork): Promise<void> {
  await database
    .updateTable('slots')
    .set({ run_after: sql<Date>`now()` })
    .where('slot_id', '=', slotId)
    .where('attempt', '=', attempt + 1)
    .where('status', '=', 'removing')
    .where('worker_id', 'is', null)
    .where('tries', '=', 0)
    .execute();
}
