import Stripe from 'stripe';
import type { Installation } from './installation.ts';
import type { Act, Customer } from './year-customers.ts';
import { BROKEN_CARD, WORKING_CARD, type YearStripe } from './year-stripe.ts';

interface Deps {
  stripe: YearStripe;
  installation: Installation;
  /** A number in [0, 1) of the year's seed. */
  fraction: number;
}

type Perform = (deps: Deps, customer: Customer) => Promise<unknown>;

const PERFORM: Readonly<Record<Act, Perform>> = {
  'break-card': ({ stripe }, { subscriptionId }) => stripe.useCard(subscriptionId, BROKEN_CARD),
  'mend-card': ({ stripe }, { subscriptionId }) => stripe.useCard(subscriptionId, WORKING_CARD),
  pay: ({ stripe }, customer) => settle(stripe, customer, (id) => stripe.api.invoices.pay(id)),
  'pay-elsewhere': ({ stripe }, customer) =>
    settle(stripe, customer, (id) => stripe.api.invoices.pay(id, { paid_out_of_band: true })),
  'void-invoice': ({ stripe }, customer) =>
    settle(stripe, customer, (id) => stripe.api.invoices.voidInvoice(id)),
  'cancel-at-end': ({ stripe }, { subscriptionId }) =>
    stripe.api.subscriptions.update(subscriptionId, { cancel_at_period_end: true }),
  'undo-cancel': ({ stripe }, { subscriptionId }) =>
    stripe.api.subscriptions.update(subscriptionId, { cancel_at_period_end: false }),
  'cancel-now': ({ stripe }, { subscriptionId }) => stripe.api.subscriptions.cancel(subscriptionId),
  'cancel-deleted': ({ stripe }, { subscriptionId }) => stripe.api.subscriptions.cancel(subscriptionId),
  'change-plan': ({ stripe }, customer) => changePlan(stripe, customer),
  refund: ({ stripe }, customer) => refund(stripe, customer),
  dispute: ({ stripe }, { subscriptionId }) =>
    stripe.control('POST', '/sandbox/stripe/disputes', { subscriptionId }),
  'win-dispute': ({ stripe }, customer) => closeDispute(stripe, customer, 'won'),
  'lose-dispute': ({ stripe }, customer) => closeDispute(stripe, customer, 'lost'),
  'pause-collection': ({ stripe, fraction }, { subscriptionId }) =>
    stripe.api.subscriptions.update(subscriptionId, {
      pause_collection: { behavior: PAUSES[Math.floor(fraction * PAUSES.length)]! },
    }),
  'resume-collection': ({ stripe }, { subscriptionId }) =>
    stripe.api.subscriptions.update(subscriptionId, { pause_collection: '' }),
  'hold-for-abuse': ({ installation }, customer) => changeHold(installation, customer, 'hold'),
  'release-abuse': ({ installation }, customer) => changeHold(installation, customer, 'release'),
};

const PAUSES = ['keep_as_draft', 'mark_uncollectible', 'void'] as const;

/**
 * Does one step of a customer's story.
 * @returns whether it was possible: Stripe refuses what no longer fits, such as a second cancellation
 */
export async function performAct(act: Act, deps: Deps, customer: Customer): Promise<boolean> {
  try {
    await PERFORM[act](deps, customer);
    return true;
  } catch (error) {
    if (error instanceof NotPossible) return false;
    if (error instanceof Stripe.errors.StripeInvalidRequestError) return false;
    if (error instanceof Stripe.errors.StripeCardError) return false;
    throw error;
  }
}

class NotPossible extends Error {
  override name = 'NotPossible';
}

/** Settles everything that is owed, the oldest first. */
async function settle(
  stripe: YearStripe,
  { subscriptionId }: Customer,
  how: (invoiceId: string) => Promise<unknown>,
): Promise<void> {
  const invoices = await stripe.invoicesOf(subscriptionId);
  const owed = invoices.filter(({ status }) => status === 'open' || status === 'uncollectible');
  if (owed.length === 0) throw new NotPossible('nothing is owed');
  for (const { id } of owed.toReversed()) await how(String(id));
}

async function changePlan(stripe: YearStripe, { subscriptionId }: Customer): Promise<void> {
  const { items } = await stripe.api.subscriptions.retrieve(subscriptionId);
  const [item] = items.data;
  if (item === undefined) throw new NotPossible('it has no price');
  const price = stripe.priceOf(item.price.id === stripe.priceOf('pro') ? 'starter' : 'pro');
  await stripe.api.subscriptions.update(subscriptionId, { items: [{ id: item.id, price }] });
}

/** Gives the newest payment back. */
async function refund(stripe: YearStripe, { subscriptionId }: Customer): Promise<void> {
  const [invoice] = await stripe.invoicesOf(subscriptionId, 'paid');
  const intent = invoice?.payments?.data[0]?.payment.payment_intent;
  if (!intent) throw new NotPossible('nothing was paid');
  await stripe.api.refunds.create({ payment_intent: String(intent) });
}

async function closeDispute(
  stripe: YearStripe,
  { subscriptionId }: Customer,
  outcome: 'won' | 'lost',
): Promise<void> {
  const { customer } = await stripe.api.subscriptions.retrieve(subscriptionId);
  const { data } = await stripe.api.charges.list({ customer: String(customer), limit: 100 });
  for (const charge of data.filter(({ disputed }) => disputed)) {
    const { data: disputes } = await stripe.api.disputes.list({ charge: charge.id });
    const open = disputes.find(({ status }) => status !== 'won' && status !== 'lost');
    if (open === undefined) continue;
    await stripe.control('POST', `/sandbox/stripe/disputes/${open.id}/close`, { outcome });
    return;
  }
  throw new NotPossible('no dispute is open');
}

/** Holds or releases an agent as an operator does. */
async function changeHold(
  { url, file }: Installation,
  { agentId }: Customer,
  what: 'hold' | 'release',
): Promise<void> {
  const response = await fetch(`${url}/api/agents/${agentId}/${what}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${file.apiToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ reason: 'abuse' }),
    signal: AbortSignal.timeout(20_000),
  });
  if (response.ok) return;
  if (response.status === 404 || response.status === 409) throw new NotPossible(await response.text());
  throw new Error(`${what} of ${agentId}: ${response.status} ${await response.text()}`);
}
