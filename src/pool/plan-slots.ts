import { sql } from 'kysely';
import type { Database, Transaction } from '../database/connect.ts';
import { isKept, mergeDemands, type WantedPool } from '../slots/demands.ts';
import { insertSlots, type PoolName } from '../slots/slots.ts';
import { withdrawCostly } from './costs.ts';
import { withdrawOverfull } from './overfull.ts';
import { findRoom } from './room.ts';
import { withdrawSlot } from './withdraw-slot.ts';

/** After so many slots of a pool failed within an hour, no more are made for a while. */
const MOST_FAILURES = 3;
const PAUSE_MINUTES = 15;
const LONGEST_TEXT = 4_000;

/**
 * Retires slots that no worker demands, and adds those that are missing. One worker of an installation does
 * this at a time. @returns how many it retired and added
 */
export async function planSlots(database: Database): Promise<{ retired: number; added: number }> {
  return database.transaction().execute(async (trx) => {
    const { rows } = await sql<{ locked: boolean }>`
      select pg_try_advisory_xact_lock(hashtext('pool'), 0) as locked`.execute(trx);
    if (rows[0]?.locked !== true) return { retired: 0, added: 0 };
    const merged = await mergeDemands(trx);
    const retired = (await retireUnfit(trx)) + (await withdrawOverfull(trx)) + (await withdrawCostly(trx));
    let added = 0;
    for (const pool of merged) added += await refill(trx, pool);
    return { retired, added };
  });
}

/**
 * Retires slots that no worker wants and the oldest of too many, and gives up those that are being made. What
 * a worker of another release still wants is kept for it, and not made any more.
 */
async function retireUnfit(trx: Transaction): Promise<number> {
  const { rows } = await sql<{ slotId: string; status: string; why: string }>`
    with prints as (
      select project, location, plan, fingerprint, max(size) as size from pool_demands where ${isKept}
      group by project, location, plan, fingerprint),
    numbered as (
      select s.slot_id, s.status, coalesce(w.size, 0) as size,
        (w.size is not null and (s.status = 'ready' or s.fingerprint = p.fingerprint)) as fits,
        row_number() over (partition by s.project, s.location, s.plan, s.fingerprint
          order by (s.status = 'ready') desc, s.created_at desc) as n
      from slots s left join prints w using (project, location, plan, fingerprint)
        left join pools p on (p.project, p.location, p.plan) = (s.project, s.location, s.plan)
      where s.status in ('making', 'ready'))
    select slot_id as "slotId", status, case when fits then 'the pool has become smaller'
      else 'it was made by or from something that has changed' end as why
    from numbered where not fits or n > size`.execute(trx);
  let withdrawn = 0;
  for (const { why, ...slot } of rows) if (await withdrawSlot(trx, slot, why)) withdrawn += 1;
  return withdrawn;
}

interface Standing {
  /** Slots that are there or being made. */
  present: number;
  /** Those that failed for good within the last hour, and why the last one did. */
  failed: number;
  lastError: string | null;
  isPaused: boolean;
}

/** Adds what is missing as far as there is room. @returns how many slots it added */
async function refill(trx: Transaction, pool: WantedPool): Promise<number> {
  const { present, failed, lastError, isPaused } = await readStanding(trx, pool);
  if (isPaused) return 0;
  const missing = Math.max(0, pool.size - present);
  if (missing > 0 && failed >= MOST_FAILURES) {
    const what = `${failed} servers of it could not be made or handed over, or fell silent, within an hour`;
    await setError(trx, pool, `${what}. The last one: ${lastError}`, true);
    return 0;
  }
  const room = missing > 0 ? await findRoom(trx, pool) : undefined;
  const added = Math.min(missing, room?.places ?? 0);
  if (added > 0) await insertSlots(trx, pool, added);
  await setError(trx, pool, room !== undefined && added < missing ? room.why : null);
  return added;
}

async function readStanding(
  trx: Transaction,
  { project, location, plan, fingerprint }: WantedPool,
): Promise<Standing> {
  const { rows } = await sql<Standing>`
    select failures.failed, failures."lastError",
      (select count(*) from slots where (project, location, plan) = (${project}, ${location}, ${plan})
        and status in ('making', 'ready') and fingerprint = ${fingerprint}) as present,
      coalesce((select paused_until > now() from pools
        where (project, location, plan) = (${project}, ${location}, ${plan})), false) as "isPaused"
    from (select count(*) as failed, (array_agg(error order by failed_at desc))[1] as "lastError" from slots
      where (project, location, plan) = (${project}, ${location}, ${plan})
        and failed_at > now() - interval '1 hour') failures`.execute(trx);
  return rows[0]!;
}

/**
 * Records why slots are missing, or that nothing is in the way. Only with `pauses` none is made for a while;
 * otherwise the next look finds out whether there is room by then.
 */
async function setError(
  trx: Transaction,
  { project, location, plan }: PoolName,
  error: string | null,
  pauses = false,
): Promise<void> {
  const text = error?.slice(0, LONGEST_TEXT) ?? null;
  await trx
    .updateTable('pools')
    .set({
      error: text,
      error_since: text === null ? null : sql<Date>`coalesce(error_since, now())`,
      paused_until: pauses ? sql<Date>`now() + make_interval(mins => ${PAUSE_MINUTES})` : null,
    })
    .where((row) => row.and({ project, location, plan }))
    .where(sql<boolean>`(${pauses} or paused_until is not null or error is distinct from ${text})`)
    .execute();
}
