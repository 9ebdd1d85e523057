import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import type { SlotStanding } from './standings.ts';

/** A pool with what is in it, and how its orders fared. */
export interface PoolState {
  project: string;
  location: string;
  plan: string;
  size: number;
  making: number;
  ready: number;
  claimed: number;
  removing: number;
  /** Orders that got a slot, and orders that found none. */
  hits: number;
  misses: number;
  /** The mean age of the slots that are ready; null without any. */
  ageSeconds: number | null;
  /** What its slots cost; null if a price is not known. */
  eurosPerHour: number | null;
  /** Why no slot is made now, and until when. */
  error: string | null;
  pausedUntil: Date | null;
}

/** Returns every pool that is or was configured. */
export async function listPools(database: Database): Promise<PoolState[]> {
  const { rows } = await sql<PoolState>`
    select p.project, p.location, p.plan, p.size, p.error, p.paused_until as "pausedUntil",
      s.making, s.ready, s.claimed, s.removing, s.hits, s."ageSeconds", s."eurosPerHour",
      (select count(*) from pool_misses m where m.project = p.project
        and m.location = p.location and m.plan = p.plan) as misses
    from pools p cross join lateral (
      select count(*) filter (where s.status = 'making') as making,
        count(*) filter (where s.status = 'ready') as ready,
        count(*) filter (where s.status = 'claimed') as claimed,
        count(*) filter (where s.status = 'removing') as removing,
        count(*) filter (where s.served_at is not null) as hits,
        avg(extract(epoch from now() - s.ready_at)) filter (where s.status = 'ready')::float8 as "ageSeconds",
        case when bool_or(s.status in ('making', 'ready', 'removing') and c.euros_per_hour is null) then null
          else coalesce(sum(c.euros_per_hour) filter (where s.status in ('making', 'ready', 'removing')), 0)
          end::float8 as "eurosPerHour"
      from slots s left join server_prices c
        on c.server_type = s.inputs->>'serverType' and c.location = s.location
      where s.project = p.project and s.location = p.location and s.plan = p.plan) s
    order by p.project, p.location, p.plan`.execute(database);
  return rows;
}

/** A slot as people see it. */
export interface SlotState {
  slotId: string;
  project: string;
  location: string;
  plan: string;
  status: SlotStanding;
  /** The version of the playbook that it was configured with; null until its inputs are recorded. */
  release: string | null;
  /** When it last answered. */
  healthyAt: Date | null;
  createdAt: Date;
}

const MOST_SLOTS = 1_000;

/** Returns the slots that exist, the oldest first. */
export async function listPresentSlots(database: Database): Promise<SlotState[]> {
  const { rows } = await sql<SlotState>`
    select slot_id as "slotId", project, location, plan, inputs->>'configurationVersion' as release,
      case status when 'making' then 'preparing' when 'removing' then 'retired' else status end as status,
      checked_at as "healthyAt", created_at as "createdAt"
    from slots where status in ('making', 'ready', 'claimed', 'removing')
    order by created_at, slot_id limit ${MOST_SLOTS}`.execute(database);
  return rows;
}

/** Counts the orders that got a slot, and those that a pool was there for and that found none. */
export async function countOrders(database: Database): Promise<{ hits: number; misses: number }> {
  const { rows } = await sql<{ hits: number; misses: number }>`
    select (select count(*) from slots where served_at is not null) as hits,
      (select count(*) from pool_misses) as misses`.execute(database);
  return rows[0]!;
}
