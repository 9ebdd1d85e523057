import type { ItemChange } from './subscription-items.ts';
import type { SubscriptionItem } from './wire.ts';

/**
 * The share of a period that was paid but not used, or the reverse. `amount` is in the smallest currency
 * unit.
 */
export interface Proration {
  item: SubscriptionItem;
  amount: number;
  description: string;
  period: { start: number; end: number };
}

/**
 * Returns what a change of items credits and charges, to the second. A new cycle bills the new items for a
 * whole period, so only the unused rest of the old ones counts.
 */
export function toProrations(
  changes: readonly ItemChange[],
  { at, newCycle }: { at: number; newCycle: boolean },
): Proration[] {
  return changes
    .filter(changesPrice)
    .flatMap(({ before, after }) => [
      ...(before ? [proration(before, at, -1)] : []),
      ...(after && !newCycle ? [proration(after, at, 1)] : []),
    ]);
}

function changesPrice({ before, after }: ItemChange): boolean {
  return before?.price.id !== after?.price.id || before?.quantity !== after?.quantity;
}

function proration(item: SubscriptionItem, at: number, sign: 1 | -1): Proration {
  const { current_period_start: start, current_period_end: end, price, quantity = 1 } = item;
  const share = Math.min(1, Math.max(0, (end - at) / (end - start)));
  const what = `${quantity} × ${price.nickname ?? price.id} after ${new Date(at * 1000).toISOString().slice(0, 10)}`;
  return {
    item,
    amount: sign * Math.round((price.unit_amount ?? 0) * quantity * share),
    description: sign < 0 ? `Unused time on ${what}` : `Remaining time on ${what}`,
    period: { start: at, end },
  };
}
