import type { SandboxTransaction } from '../database.ts';
import { cardDeclined, invalidRequest } from './errors.ts';
import type { EventCause } from './events.ts';
import { createInvoiceItem } from './invoice-items.ts';
import { createInvoice } from './invoices.ts';
import { lockObject } from './objects.ts';
import { tryPayment } from './pay-invoice.ts';
import { toProrations } from './prorations.ts';
import type { ItemChange } from './subscription-items.ts';
import { toPeriodEnd } from './subscription-object.ts';
import type { Invoice, Subscription, SubscriptionItem } from './wire.ts';

export type ProrationBehavior = 'always_invoice' | 'create_prorations' | 'none';

/** The change of a subscription, and the invoice that it leaves to be charged. */
export interface FollowedChange {
  change: Partial<Subscription>;
  invoice?: Invoice;
}

/**
 * Applies the consequences of changed items: a new cycle if the interval changes or a restart is requested,
 * prorations for the next invoice, and an immediate invoice if one is due, which is still to be charged.
 */
export async function followPlanChange(
  trx: SandboxTransaction,
  before: Subscription,
  planned: { items: SubscriptionItem[]; changes: ItemChange[] },
  options: { behavior: ProrationBehavior; at: number; restart: boolean },
): Promise<FollowedChange> {
  const { behavior, at, restart } = options;
  const newCycle = restart || toInterval(before.items.data[0]) !== toInterval(planned.items[0]);
  const items = newCycle ? planned.items.map((item) => startPeriod(item, at)) : planned.items;
  const changes = restart ? toWholeCycle(before, planned) : planned.changes;
  const change: Partial<Subscription> = {
    items: { ...before.items, data: items },
    ...(newCycle && { billing_cycle_anchor: at }),
  };
  if (behavior !== 'none')
    for (const proration of toProrations(changes, { at, newCycle }))
      await createInvoiceItem(trx, before, proration);
  if (!newCycle && behavior !== 'always_invoice') return { change };
  const after: Subscription = { ...before, ...change };
  const bills = newCycle ? 'period' : 'prorations';
  const invoice = await createInvoice(trx, after, { reason: 'subscription_update', bills });
  if (invoice === undefined) return { change };
  return { change: { ...change, latest_invoice: invoice.id }, invoice };
}

type PaymentBehavior =
  | 'allow_incomplete'
  | 'default_incomplete'
  | 'error_if_incomplete'
  | 'pending_if_incomplete'
  | undefined;

/**
 * Charges the invoice of a change at once. If the card refuses it, the subscription is past due; with
 * `error_if_incomplete` nothing has changed. Stripe would keep the change pending with
 * `pending_if_incomplete`; the sandbox refuses that.
 * @throws StripeError 402
 */
export async function collectNow(
  trx: SandboxTransaction,
  { id }: Subscription,
  invoice: Invoice,
  behavior: PaymentBehavior,
  request?: EventCause,
): Promise<Subscription> {
  const { decline, charge } = await tryPayment(trx, invoice, { request });
  if (decline && behavior === 'error_if_incomplete') throw cardDeclined(decline, charge?.id);
  if (decline && behavior === 'pending_if_incomplete')
    throw invalidRequest(
      'The sandbox keeps no pending updates: the card was declined, nothing has changed.',
      {
        param: 'payment_behavior',
      },
    );
  return lockObject<Subscription>(trx, 'subscription', id);
}

/** A new cycle credits the unused rest of every item, changed or not. */
function toWholeCycle(
  before: Subscription,
  { items, changes }: { items: SubscriptionItem[]; changes: ItemChange[] },
): ItemChange[] {
  const changed = new Set(changes.map((change) => change.before?.id));
  const kept = before.items.data.filter(({ id }) => !changed.has(id) && items.some((item) => item.id === id));
  return [...changes, ...kept.map((item) => ({ before: item }))];
}

function toInterval(item: SubscriptionItem | undefined): string {
  return `${item?.price.recurring?.interval} ${item?.price.recurring?.interval_count}`;
}

function startPeriod(item: SubscriptionItem, now: number): SubscriptionItem {
  return { ...item, current_period_start: now, current_period_end: toPeriodEnd(item.price, now) };
}
