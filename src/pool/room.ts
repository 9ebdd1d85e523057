import { sql } from 'kysely';
import type { Transaction } from '../database/connect.ts';
import { roomInProject } from '../projects/placement.ts';
import type { PoolName } from '../slots/slots.ts';
import { type Room, roomForCosts } from './costs.ts';

/** How many more slots of the pool may be made now, by the breakers, the ceilings and its Hetzner project. */
export async function findRoom(trx: Transaction, pool: PoolName): Promise<Room> {
  let least = await roomBehindBreakers(trx);
  // The last one makes orders wait for the transaction: it is asked only if the others leave something.
  for (const find of [roomForCreates, roomForCosts, roomForServers]) {
    if (least.places === 0) return least;
    const room = await find(trx, pool);
    if (room.places < least.places) least = room;
  }
  return least;
}

/** While a breaker has tripped no more servers are made for nobody: breakers are for orders first. */
async function roomBehindBreakers(trx: Transaction): Promise<Room> {
  const tripped = await trx
    .selectFrom('breakers')
    .select('name')
    .where('name', 'in', ['creates', 'spend'])
    .where('tripped_at', 'is not', null)
    .executeTakeFirst();
  return tripped === undefined
    ? { places: Infinity, why: '' }
    : { places: 0, why: `The breaker ${tripped.name} has tripped` };
}

/**
 * How many servers may still be made within this hour. An order that took a slot made none, but is counted,
 * and the slots count here only, so that a refill never keeps an order waiting.
 */
async function roomForCreates(trx: Transaction): Promise<Room> {
  const { rows } = await sql<{ limit: number | null; used: number }>`
    select b.limit_count as limit,
      ((select count(*) from changes where kind in ('provision', 'wake') and at > now() - interval '1 hour')
      + (select count(*) from slots where created_at > now() - interval '1 hour')
      - (select count(*) from slots where served_at > now() - interval '1 hour'))::int as used
    from breakers b where b.name = 'creates'`.execute(trx);
  const { limit = null, used = 0 } = rows[0] ?? {};
  if (limit === null) return { places: Infinity, why: '' };
  const why = `LIMIT_CREATES_PER_HOUR is ${limit}, and leaves no more servers within this hour`;
  return { places: Math.max(0, limit - used), why };
}

async function roomForServers(trx: Transaction, { project }: PoolName): Promise<Room> {
  return {
    places: (await roomInProject(trx, project)) ?? Infinity,
    why: `The Hetzner project ${project} has as many servers as HCLOUD_PROJECTS lets it have`,
  };
}
