import type { Transaction } from '../database/connect.ts';
import { priceOfPlan, priceSlots } from '../limits/spend.ts';
import { readCeiling } from '../slots/demands.ts';
import type { PoolName } from '../slots/slots.ts';
import { withdrawSlot } from './withdraw-slot.ts';

/** How many more slots may be made now, and why no more than that. */
export interface Room {
  /** Infinity: as many as are wanted. */
  places: number;
  why: string;
}

/** Prices are decimal: sums of them are not exact. */
const ROUNDING = 1e-9;

/** What servers may cost, in euros an hour; Infinity without a limit. */
interface Ceilings {
  all: number;
  slots: number;
}

async function readCeilings(trx: Transaction): Promise<Ceilings | undefined> {
  const spend = await trx
    .selectFrom('breakers')
    .select('limit_euros')
    .where('name', '=', 'spend')
    .executeTakeFirst();
  const all = Number(spend?.limit_euros ?? Infinity);
  const slots = await readCeiling(trx);
  return all === Infinity && slots === Infinity ? undefined : { all, slots };
}

const total = (slots: readonly { euros: number }[]) => slots.reduce((sum, { euros }) => sum + euros, 0);

/**
 * Withdraws slots until all servers together cost no more than they may: an order is never refused for what
 * waits, so one that needed a new server may have gone beyond. @returns how many
 */
export async function withdrawCostly(trx: Transaction): Promise<number> {
  const ceilings = await readCeilings(trx);
  const priced = ceilings && (await priceSlots(trx));
  if (ceilings === undefined || priced === undefined) return 0;
  const waiting = total(priced.slots);
  let over = Math.max(priced.agents + waiting - ceilings.all, waiting - ceilings.slots);
  let withdrawn = 0;
  for (const slot of priced.slots) {
    if (over <= ROUNDING) break;
    if (!(await withdrawSlot(trx, slot, 'all servers together would cost more than they may'))) continue;
    over -= slot.euros;
    withdrawn += 1;
  }
  return withdrawn;
}

/**
 * How many more slots of the pool may be made for what they cost. Servers whose removal has failed count:
 * they are billed, perhaps for long. Others that are being removed do not, or none could be replaced at a
 * ceiling.
 */
export async function roomForCosts(trx: Transaction, pool: PoolName): Promise<Room> {
  const ceilings = await readCeilings(trx);
  if (ceilings === undefined) return { places: Infinity, why: '' };
  const [priced, euros] = [await priceSlots(trx), await priceOfPlan(trx, pool)];
  if (priced === undefined || euros === undefined)
    return { places: 0, why: 'What servers cost is not known yet' };
  const slots = total(priced.slots) + priced.stuck;
  const placesFor = (left: number) => Math.max(0, Math.floor(left / euros + ROUNDING));
  const all = {
    places: placesFor(ceilings.all - priced.agents - slots),
    why: `With one more, all servers together would cost more than €${ceilings.all} an hour`,
  };
  const own = {
    places: placesFor(ceilings.slots - slots),
    why: `The slots together cost €${slots.toFixed(4)} an hour, and may cost €${ceilings.slots}`,
  };
  return all.places <= own.places ? all : own;
}
