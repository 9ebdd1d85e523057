import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import type { SlotStatus } from '../database/slot-tables.ts';

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
      (select count(*) from pool_misses m where m.location = p.location and m.plan = p.plan) as misses
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
    order by p.location, p.plan`.execute(database);
  return rows;
}

export interface SlotState {
  slotId: string;
  location: string;
  plan: string;
  status: SlotStatus;
  step: string | null;
  attempt: number;
  error: string | null;
  serverName: string | null;
  agentId: string | null;
  createdAt: Date;
  readyAt: Date | null;
  checkedAt: Date | null;
}

const MOST_SLOTS = 1_000;

/** Returns the slots that exist, the oldest first. */
export async function listPresentSlots(database: Database): Promise<SlotState[]> {
  return database
    .selectFrom('slots')
    .select([
      'slot_id as slotId',
      'location',
      'plan',
      'status',
      'step',
      'attempt',
      'error',
      'server_name as serverName',
      'agent_id as agentId',
      'created_at as createdAt',
      'ready_at as readyAt',
      'checked_at as checkedAt',
    ])
    .where('status', 'in', ['making', 'ready', 'claimed', 'removing'])
    .orderBy('created_at')
    .limit(MOST_SLOTS)
    .execute();
}
