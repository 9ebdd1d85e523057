import type Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type SandboxFixture, setup } from '../../support/sandbox.ts';
import { failNext, payWith, subscribe } from '../../support/sandbox-stripe.ts';

let sandbox: SandboxFixture;
let subscription: Stripe.Subscription;
let portal: Stripe.BillingPortal.Session;
beforeAll(async () => {
  sandbox = await setup();
});
afterAll(() => sandbox.close());
beforeEach(async () => {
  subscription = await subscribe(sandbox);
  portal = await sandbox.stripe.billingPortal.sessions.create({
    customer: String(subscription.customer),
    return_url: 'http://127.0.0.1:1/account',
  });
});

const read = async () => (await fetch(portal.url)).text();
const current = () => sandbox.stripe.subscriptions.retrieve(subscription.id);

/** Sends a form of the page. Returns the status and the page that a browser ends on. */
async function send(form: Record<string, string>, headers: Record<string, string> = {}) {
  const response = await fetch(portal.url, {
    method: 'POST',
    body: new URLSearchParams(form),
    redirect: 'manual',
    headers: { Accept: 'text/html', ...headers },
  });
  const location = response.headers.get('location');
  const page = location === null ? response : await fetch(new URL(location, portal.url));
  return { status: response.status, page: await page.text() };
}

test('a session leads to the customer’s own page, which runs no script', async () => {
  expect(portal).toMatchObject({
    object: 'billing_portal.session',
    customer: subscription.customer,
    url: `${sandbox.url}/portal/${portal.id}`,
  });
  const response = await fetch(portal.url);
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
  const page = await response.text();
  expect(page).toContain('Agent: agent-1');
  expect(page).toContain('Visa ending in 4242');
  expect(page).toContain('<a href="http://127.0.0.1:1/account">Return</a>');
  expect(page).not.toContain('<script');
  await expect(sandbox.stripe.billingPortal.sessions.create({ customer: 'cus_none' })).rejects.toMatchObject({
    code: 'resource_missing',
    param: 'customer',
  });
  expect((await fetch(`${sandbox.url}/portal/bps_none`)).status).toBe(404);
});

test('a cancellation at the end of the period is made and undone', async () => {
  const canceled = await send({ action: 'cancel', subscription: subscription.id });
  expect(canceled).toMatchObject({ status: 303, page: expect.stringContaining('will end with its period') });
  expect(await current()).toMatchObject({ cancel_at_period_end: true, status: 'active' });
  expect(canceled.page).toContain('Ends on');
  await send({ action: 'keep', subscription: subscription.id });
  expect(await current()).toMatchObject({ cancel_at_period_end: false, cancel_at: null });
});

test('a failed payment is shown and paid, once a card is saved that works', async () => {
  await payWith(sandbox, subscription, 'pm_card_chargeCustomerFail');
  const invoice = await failNext(sandbox, subscription.id);
  expect(await read()).toContain('The last payment failed');
  const refused = await send({ action: 'pay', invoice: invoice.id });
  expect(refused).toMatchObject({ status: 402, page: expect.stringContaining('Your card was declined.') });
  const { data } = await sandbox.stripe.charges.list({ customer: String(subscription.customer) });
  expect(data.map((charge) => charge.status)).toEqual(['failed', 'failed', 'succeeded']);

  const unknown = await send({ action: 'update-card', card: '4111 1111 1111 1111' });
  expect(unknown).toMatchObject({ status: 402, page: expect.stringContaining('number is incorrect') });
  const declined = await send({ action: 'update-card', card: '4000000000000002' });
  expect(declined).toMatchObject({ status: 402, page: expect.stringContaining('ending in 0341') });
  const saved = await send({ action: 'update-card', card: '5555 5555 5555 4444' });
  expect(saved.page).toContain('Mastercard ending in 4444');
  const paid = await send({ action: 'pay', invoice: invoice.id });
  expect(paid.page).toContain('The invoice is paid.');
  expect(await current()).toMatchObject({ status: 'active' });
  expect((await send({ action: 'pay', invoice: invoice.id })).status).toBe(303);
});

test('a plan is changed and charged at once; a card that refuses changes nothing', async () => {
  const product = String(subscription.items.data[0]!.price.product);
  const recurring = { interval: 'month' } as const;
  const bigger = await sandbox.stripe.prices.create({
    currency: 'eur',
    unit_amount: 5000,
    product,
    recurring,
    nickname: 'Bigger',
  });
  expect(await read()).toContain('Bigger, €50.00 per month');
  await payWith(sandbox, subscription, 'pm_card_chargeCustomerFail');
  const refused = await send({ action: 'change-plan', subscription: subscription.id, price: bigger.id });
  expect(refused.status).toBe(402);
  expect((await current()).items.data[0]!.price.id).toBe(subscription.items.data[0]!.price.id);
  await send({ action: 'update-card', card: '4242424242424242' });
  const changed = await send({ action: 'change-plan', subscription: subscription.id, price: bigger.id });
  expect(changed.page).toContain('Your plan is changed.');
  expect((await current()).items.data[0]!.price.id).toBe(bigger.id);
});

test('what belongs to another customer, and unknown actions, are refused', async () => {
  const other = await subscribe(sandbox);
  expect((await send({ action: 'cancel', subscription: other.id })).status).toBe(404);
  const theirs = await failNext(sandbox, other.id);
  expect((await send({ action: 'pay', invoice: theirs.id })).status).toBe(404);
  expect((await send({ action: 'delete' })).status).toBe(400);
  const elsewhere = { 'Sec-Fetch-Site': 'cross-site' };
  expect((await send({ action: 'cancel', subscription: subscription.id }, elsewhere)).status).toBe(403);
  expect(await current()).toMatchObject({ cancel_at_period_end: false });
});

test('a finalized invoice names the page on which it is paid, once', async () => {
  const open = await failNext(sandbox, subscription.id);
  expect(open.hosted_invoice_url).toBe(`${sandbox.url}/invoice/${open.id}`);
  const send = async (method: string) => {
    const response = await fetch(open.hosted_invoice_url!, { method, headers: { accept: 'text/html' } });
    return { status: response.status, page: await response.text() };
  };
  expect((await send('GET')).page).toContain('Pay with the saved card');
  await payWith(sandbox, subscription, 'pm_card_chargeCustomerFail');
  const refused = await send('POST');
  expect(refused.status).toBe(402);
  expect(refused.page).toContain('Your card was declined.');
  await payWith(sandbox, subscription, 'pm_card_visa');
  for (const _ of [1, 2]) {
    const { status, page } = await send('POST');
    expect([status, page.includes('Nothing is open on this invoice.')]).toEqual([200, true]);
  }
  expect(await sandbox.stripe.invoices.retrieve(open.id!)).toMatchObject({ status: 'paid' });
  expect((await fetch(`${sandbox.url}/invoice/in_none`)).status).toBe(404);
});
