import { sql } from 'kysely';
import type { Database, Transaction } from '../database/connect.ts';
import { roomInProject } from '../projects/placement.ts';
import { isKept, mergeDemands, type WantedPool } from '../slots/demands.ts';
import { insertSlots, NOT_HANDED_OVER, NOT_MADE, type PoolName } from '../slots/slots.ts';
import { roomForCosts, withdrawCostly } from './costs.ts';
import { withdrawOverfull } from './overfull.ts';
import { withdrawSlot } from './withdraw-slot.ts';

/** After so many slots of a pool failed within an hour, no more are made for a while. */
const MOST_FAILURES = 3;
const PAUSE_MINUTES = 15;

/**
 * Retires slots that no worker demands, and adds those that are missing. One worker of an installation does
 * this at a time. @returns how many it retired and added
 */
export async function planSlots(
  database: Database,
  eurosPerHour: number | undefined,
): Promise<{ retired: number; added: number }> {
  return database.transaction().execute(async (trx) => {
    const { rows } = await sql<{ locked: boolean }>`
      select pg_try_advisory_xact_lock(hashtext('pool'), 0) as locked`.execute(trx);
    if (rows[0]?.locked !== true) return { retired: 0, added: 0 };
    const merged = await mergeDemands(trx);
    const retired =
      (await retireUnfit(trx)) + (await withdrawOverfull(trx)) + (await withdrawCostly(trx, eurosPerHour));
    let added = 0;
    for (const pool of merged) added += await refill(trx, pool, eurosPerHour);
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

async function refill(trx: Transaction, pool: WantedPool, eurosPerHour: number | undefined): Promise<number> {
  const { project, location, plan, fingerprint } = pool;
  const { rows } = await sql<{ present: number; failed: number; error: string | null; isPaused: boolean }>`
    select count(*) filter (where status in ('making', 'ready') and fingerprint = ${fingerprint}) as present,
      count(*) filter (where failure_code in (${NOT_MADE}, ${NOT_HANDED_OVER}) and updated_at > now() - interval '1 hour'
        and created_at > now() - interval '1 hour') as failed,
      (array_agg(error order by updated_at desc) filter (where failure_code in (${NOT_MADE}, ${NOT_HANDED_OVER})))[1] as error,
      coalesce((select paused_until > now() from pools p
        where (p.project, p.location, p.plan) = (${project}, ${location}, ${plan})), false) as "isPaused"
    from slots where (project, location, plan) = (${project}, ${location}, ${plan})`.execute(trx);
  const { present, failed, error, isPaused } = rows[0]!;
  const missing = pool.size - present;
  if (missing <= 0 || isPaused) return 0;
  const affordable =
    failed >= MOST_FAILURES
      ? `${failed} servers of it could not be made or handed over within an hour. The last one: ${error}`
      : ((await findTripped(trx)) ?? (await roomForCosts(trx, pool, eurosPerHour)));
  if (typeof affordable === 'string') {
    await pause(trx, pool, affordable);
    return 0;
  }
  const room = Math.min(
    missing,
    affordable,
    await roomForCreates(trx),
    (await roomInProject(trx, project)) ?? Infinity,
  );
  if (room > 0) await insertSlots(trx, pool, room);
  await trx
    .updateTable('pools')
    .set({ paused_until: null, error: null })
    .where((row) => row.and({ project, location, plan }))
    .where('error', 'is not', null)
    .execute();
  return Math.max(0, room);
}

async function pause(trx: Transaction, { project, location, plan }: PoolName, reason: string): Promise<void> {
  await trx
    .updateTable('pools')
    .set({
      paused_until: sql<Date>`now() + make_interval(mins => ${PAUSE_MINUTES})`,
      error: reason.slice(0, 4_000),
    })
    .where((row) => row.and({ project, location, plan }))
    .execute();
}

/** Why no more servers may be made for nobody now: breakers are for orders first. */
async function findTripped(trx: Transaction): Promise<string | undefined> {
  const tripped = await trx
    .selectFrom('breakers')
    .select('name')
    .where('name', 'in', ['creates', 'spend'])
    .where('tripped_at', 'is not', null)
    .executeTakeFirst();
  return tripped && `The breaker ${tripped.name} has tripped`;
}

/**
 * How many servers may still be made within this hour. An order that took a slot made none, but is counted,
 * and the slots count here only, so that a refill never keeps an order waiting.
 */
async function roomForCreates(trx: Transaction): Promise<number> {
  const { rows } = await sql<{ room: number }>`
    select least(1000, coalesce(b.limit_count, 1000)
      - (select count(*) from changes where kind in ('provision', 'wake') and at > now() - interval '1 hour')
      - (select count(*) from slots where created_at > now() - interval '1 hour')
      + (select count(*) from slots where served_at > now() - interval '1 hour'))::int as room
    from breakers b where b.name = 'creates'`.execute(trx);
  return Math.max(0, rows[0]?.room ?? 0);
}
