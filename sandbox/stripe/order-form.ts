import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { PLANS, REGIONS } from './offers.ts';
import { html } from './pages.ts';
import type { SessionParameters } from './session-create.ts';

/** An empty field counts as missing. */
const optionalText = z
  .string()
  .trim()
  .optional()
  .transform((text) => text || undefined);

export const orderSchema = z.object({
  agentId: optionalText
    .pipe(
      z
        .string()
        .max(40, 'can have at most 40 characters')
        .regex(/^[a-z0-9](-?[a-z0-9])*$/, 'may have small letters, digits and single hyphens')
        .optional(),
    )
    .transform((agentId) => agentId ?? randomUUID()),
  userId: optionalText.transform((userId) => userId ?? 'sandbox-user').pipe(z.string().max(200)),
  region: z.enum(REGIONS),
  plan: optionalText.pipe(z.string().max(100).optional()),
});

export type Order = z.output<typeof orderSchema>;

/** Returns the session's parameters for an order. Session and subscription both carry its metadata. */
export function toSessionParameters(order: Order, successUrl: string): SessionParameters {
  const { agentId, userId, region, plan } = order;
  const metadata = { agentId, userId, region, ...(plan !== undefined && { plan }) };
  return {
    mode: 'subscription',
    success_url: successUrl,
    client_reference_id: agentId,
    line_items: [
      {
        quantity: 1,
        price_data: {
          currency: 'eur',
          unit_amount: 2900,
          product_data: { name: 'AI agent on its own server', metadata: {} },
          recurring: { interval: 'month', interval_count: 1 },
        },
      },
    ],
    metadata,
    subscription_data: { metadata },
  };
}

/** Renders the order form, with the problem of the previous try. */
export function orderForm(problem?: string) {
  return html`${problem === undefined ? '' : html`<p class="problem" role="alert">${problem}</p>`}
<form method="post" action="/checkout">
<label for="region">Region</label>
<select id="region" name="region">${REGIONS.map((region) => html`<option>${region}</option>`)}</select>
<label for="plan">Plan</label>
<input id="plan" name="plan" autocomplete="off" list="plans" aria-describedby="plan-hint">
<datalist id="plans">${PLANS.map((plan) => html`<option value="${plan}"></option>`)}</datalist>
<small id="plan-hint">Empty: the service's own default.</small>
<label for="userId">Customer</label>
<input id="userId" name="userId" value="sandbox-user" autocomplete="off">
<label for="agentId">Agent id</label>
<input id="agentId" name="agentId" autocomplete="off" aria-describedby="agent-hint">
<small id="agent-hint">Small letters, digits and hyphens. Empty: a new id is created.</small>
<button type="submit">Continue to payment</button>
</form>`;
}
