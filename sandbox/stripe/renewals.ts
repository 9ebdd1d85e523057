import type { SandboxTransaction } from '../database.ts';
import { INCOMPLETE_SECONDS, periodEnd, TRIAL_WARNING_SECONDS } from './due-times.ts';
import { emitEvent } from './events.ts';
import { voidInvoice } from './invoice-payment.ts';
import { createDraft } from './invoices.ts';
import { lockObject, saveObject } from './objects.ts';
import { changeSubscription, endSubscription, toId } from './subscription-changes.ts';
import { toPeriodEnd } from './subscription-object.ts';
import { type Invoice, nowSeconds, type Subscription } from './wire.ts';

/**
 * Does what the passing of time does to a subscription at its present moment: it ends, expires, resumes
 * collection, announces the end of its trial, or renews.
 */
export async function passTime(trx: SandboxTransaction, subscription: Subscription): Promise<void> {
  const now = nowSeconds();
  const { status, cancel_at, cancel_at_period_end, pause_collection, trial_end } = subscription;
  const isPeriodOver = (periodEnd(subscription) ?? now) <= now;
  const resumesAt = pause_collection?.resumes_at;
  if (status === 'incomplete') await expire(trx, subscription);
  else if ((cancel_at !== null && cancel_at <= now) || (cancel_at_period_end && isPeriodOver))
    await endSubscription(trx, subscription, { reason: 'cancellation_requested' });
  else if (resumesAt && resumesAt <= now)
    await changeSubscription(trx, subscription, { pause_collection: null });
  else if (isPeriodOver) await renew(trx, subscription);
  else if (status === 'trialing' && trial_end !== null && trial_end - TRIAL_WARNING_SECONDS <= now)
    await announceTrialEnd(trx, subscription);
}

/** The first payment never succeeded. Its invoice is void. */
async function expire(trx: SandboxTransaction, subscription: Subscription): Promise<void> {
  const now = nowSeconds();
  if (now < subscription.created + INCOMPLETE_SECONDS) return;
  const { latest_invoice } = subscription;
  await changeSubscription(trx, subscription, { status: 'incomplete_expired', ended_at: now });
  if (latest_invoice === null) return;
  const invoice = await lockObject<Invoice>(trx, 'invoice', toId(latest_invoice));
  if (invoice.status === 'open') await voidInvoice(trx, invoice);
}

/** Saving it schedules the end of the trial. */
async function announceTrialEnd(trx: SandboxTransaction, subscription: Subscription): Promise<void> {
  await saveObject(trx, subscription);
  await emitEvent(trx, { type: 'customer.subscription.trial_will_end', object: subscription });
}

/**
 * Begins the next period, with the draft of its invoice. The subscription stays as it is until that is paid
 * or not, except that a trial is over.
 */
async function renew(trx: SandboxTransaction, subscription: Subscription): Promise<void> {
  const items = subscription.items.data.map((item) => {
    const start = item.current_period_end;
    const end = toPeriodEnd(item.price, start, subscription.billing_cycle_anchor);
    return { ...item, current_period_start: start, current_period_end: end };
  });
  const renewed: Subscription = { ...subscription, items: { ...subscription.items, data: items } };
  const [ended] = subscription.items.data;
  const draft = await createDraft(trx, renewed, {
    // Of a subscription that was given up, and of one with paused collection, drafts stay drafts.
    collects: subscription.status !== 'unpaid' && subscription.pause_collection?.behavior !== 'keep_as_draft',
    usage: { start: ended!.current_period_start, end: ended!.current_period_end },
  });
  await changeSubscription(trx, subscription, {
    items: renewed.items,
    latest_invoice: draft.id,
    ...(subscription.status === 'trialing' && { status: 'active' as const }),
  });
}
