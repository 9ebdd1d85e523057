import { z } from 'zod';
import type { SandboxTransaction } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest } from './errors.ts';
import { type EventCause, emitEvent } from './events.ts';
import { createInvoice } from './invoices.ts';
import { lockObject } from './objects.ts';
import { fields } from './parameters.ts';
import { collectNow } from './plan-change.ts';
import { changeSubscription } from './subscription-changes.ts';
import { toPeriodEnd } from './subscription-object.ts';
import { nowSeconds, type Subscription } from './wire.ts';

/**
 * Mounts the pause of a whole subscription, with the status `paused`. A pause of its payments alone is
 * `pause_collection`, an ordinary change.
 */
export function mountSubscriptionPauses(endpoints: Endpoints): void {
  const paused = { answers: 'subscription', parameters: { type: z.enum(['subscription']).optional() } };
  endpoints.post('/subscriptions/:id/pause', paused, (trx, { id, request }) =>
    pauseSubscription(trx, id, request),
  );
  const resumed = {
    answers: 'subscription',
    parameters: {
      billing_cycle_anchor: fields({ type: z.enum(['now', 'unchanged']) }).default({ type: 'now' }),
      payment_behavior: z.enum(['resume_on_payment_attempt', 'resume_on_payment_success']).optional(),
      proration_behavior: z.enum(['always_invoice', 'create_prorations', 'none']).optional(),
    },
  };
  endpoints.post('/subscriptions/:id/resume', resumed, (trx, { id, input, request }) =>
    resumeSubscription(trx, id, input.billing_cycle_anchor.type, request),
  );
}

/** Pauses a subscription and emits `customer.subscription.paused`. Nothing is invoiced until it resumes. */
async function pauseSubscription(
  trx: SandboxTransaction,
  id: string,
  request: EventCause,
): Promise<Subscription> {
  const before = await lockObject<Subscription>(trx, 'subscription', id);
  if (before.status !== 'active' && before.status !== 'trialing')
    throw invalidRequest(`A subscription with the status ${before.status} cannot be paused.`);
  const paused: Partial<Subscription> = {
    status: 'paused',
    status_details: {
      paused: {
        subscription: { type: 'pause_requested' },
        transitioned_at: nowSeconds(),
        type: 'subscription',
      },
    },
  };
  const after = await changeSubscription(trx, before, paused, request);
  await emitEvent(trx, { type: 'customer.subscription.paused', object: after, request });
  return after;
}

/**
 * Resumes a paused subscription and emits `customer.subscription.resumed`. A new period begins now and is
 * charged, unless the cycle stays `unchanged`.
 */
async function resumeSubscription(
  trx: SandboxTransaction,
  id: string,
  anchor: 'now' | 'unchanged',
  request: EventCause,
): Promise<Subscription> {
  const before = await lockObject<Subscription>(trx, 'subscription', id);
  if (before.status !== 'paused') throw invalidRequest('You can only resume a subscription that is paused.');
  const { status_details: _paused, ...rest } = before;
  const cycle: Partial<Subscription> = anchor === 'now' ? startCycle(before) : {};
  const after = await changeSubscription(trx, rest, { status: 'active', ...cycle }, request);
  await emitEvent(trx, { type: 'customer.subscription.resumed', object: after, request });
  if (anchor === 'unchanged') return after;
  const invoice = await createInvoice(trx, after, { reason: 'subscription_update', bills: 'period' });
  const billed = await changeSubscription(trx, after, { latest_invoice: invoice.id }, request);
  return collectNow(trx, billed, invoice, undefined, request);
}

function startCycle({ items }: Subscription): Partial<Subscription> {
  const now = nowSeconds();
  const data = items.data.map((item) => ({
    ...item,
    current_period_start: now,
    current_period_end: toPeriodEnd(item.price, now),
  }));
  return { billing_cycle_anchor: now, items: { ...items, data } };
}
