import type { Transaction } from '../database/connect.ts';
import { priceOfPlan, priceSlots } from '../limits/spend.ts';
import type { PoolName } from '../slots/slots.ts';
import { withdrawSlot } from './withdraw-slot.ts';

/** Prices are decimal: sums of them are not exact. */
const ROUNDING = 1e-9;

/** What servers may cost, in euros an hour; Infinity without a limit. */
interface Ceilings {
  all: number;
  slots: number;
}

async function readCeilings(trx: Transaction, ofSlots: number | undefined): Promise<Ceilings | undefined> {
  const spend = await trx
    .selectFrom('breakers')
    .select('limit_euros')
    .where('name', '=', 'spend')
    .executeTakeFirst();
  const all = Number(spend?.limit_euros ?? Infinity);
  const slots = ofSlots ?? Infinity;
  return all === Infinity && slots === Infinity ? undefined : { all, slots };
}

const total = (slots: readonly { euros: number }[]) => slots.reduce((sum, { euros }) => sum + euros, 0);

/**
 * Withdraws slots until all servers together cost no more than they may: an order is never refused for what
 * waits, so one that needed a new server may have gone beyond. @returns how many
 */
export async function withdrawCostly(trx: Transaction, ofSlots: number | undefined): Promise<number> {
  const ceilings = await readCeilings(trx, ofSlots);
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

/** How many more slots of the pool may be made for what they cost, or why none. */
export async function roomForCosts(
  trx: Transaction,
  pool: PoolName,
  ofSlots: number | undefined,
): Promise<number | string> {
  const ceilings = await readCeilings(trx, ofSlots);
  if (ceilings === undefined) return Infinity;
  const [priced, euros] = [await priceSlots(trx), await priceOfPlan(trx, pool)];
  if (priced === undefined || euros === undefined) return 'What servers cost is not known yet';
  const waiting = total(priced.slots);
  const placesFor = (left: number) => Math.floor(left / euros + ROUNDING);
  if (placesFor(ceilings.all - priced.agents - waiting) < 1)
    return `With one more, all servers together would cost more than €${ceilings.all} an hour`;
  if (placesFor(ceilings.slots - waiting) < 1)
    return `The slots together cost €${waiting.toFixed(4)} an hour, and may cost €${ceilings.slots}`;
  return Math.min(placesFor(ceilings.all - priced.agents - waiting), placesFor(ceilings.slots - waiting));
}
