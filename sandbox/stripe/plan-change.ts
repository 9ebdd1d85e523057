import type { Queryable } from '../database.ts';
import { type EventCause, emitEvent } from './events.ts';
import { createInvoiceItem } from './invoice-items.ts';
import { createInvoice } from './invoices.ts';
import { prorationsOf } from './prorations.ts';
import type { ItemChange } from './subscription-items.ts';
import { periodEnd } from './subscription-object.ts';
import type { Subscription, SubscriptionItem } from './wire.ts';

export type ProrationBehavior = 'always_invoice' | 'create_prorations' | 'none';

/**
 * What follows from changed items, apart from the change itself: a new cycle where the interval changes (or is asked to
 * begin anew), prorations for the next invoice, and an invoice at once where one is due. Payments succeed in the sandbox.
 */
export async function followPlanChange(
  db: Queryable,
  before: Subscription,
  planned: { items: SubscriptionItem[]; changes: ItemChange[] },
  options: { behavior: ProrationBehavior; at: number; restart: boolean; request: EventCause },
): Promise<Partial<Subscription>> {
  const { behavior, at, restart, request } = options;
  const newCycle = restart || intervalOf(before.items.data[0]) !== intervalOf(planned.items[0]);
  const items = newCycle ? planned.items.map((item) => fromNow(item, at)) : planned.items;
  const changes = restart ? wholeCycle(before, planned) : planned.changes;
  const change: Partial<Subscription> = {
    items: { ...before.items, data: items },
    ...(newCycle && { billing_cycle_anchor: at }),
  };
  if (behavior !== 'none')
    for (const proration of prorationsOf(changes, { at, newCycle }))
      await createInvoiceItem(db, before, proration);
  if (!newCycle && behavior !== 'always_invoice') return change;
  const after: Subscription = { ...before, ...change };
  const bills = newCycle ? 'period' : 'prorations';
  const invoice = await createInvoice(db, after, { reason: 'subscription_update', paid: true, bills });
  if (invoice === undefined) return change;
  await emitEvent(db, { type: 'invoice.paid', object: invoice, request });
  return { ...change, latest_invoice: invoice.id };
}

/** A cycle that begins anew gives back the rest of every item, changed or not. */
function wholeCycle(
  before: Subscription,
  { items, changes }: { items: SubscriptionItem[]; changes: ItemChange[] },
): ItemChange[] {
  const changed = new Set(changes.map((change) => change.before?.id));
  const kept = before.items.data.filter(({ id }) => !changed.has(id) && items.some((item) => item.id === id));
  return [...changes, ...kept.map((item) => ({ before: item }))];
}

function intervalOf(item: SubscriptionItem | undefined): string {
  return `${item?.price.recurring?.interval} ${item?.price.recurring?.interval_count}`;
}

function fromNow(item: SubscriptionItem, now: number): SubscriptionItem {
  return { ...item, current_period_start: now, current_period_end: periodEnd(item.price, now) };
}
