import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Bed, setup, subscriptionSession } from './setup.ts';

let bed: Bed;
beforeAll(async () => {
  bed = await setup();
});
afterAll(() => bed.close());

function post(path: string, form: Record<string, string>, headers: Record<string, string> = {}) {
  const body = new URLSearchParams(form);
  return fetch(bed.url + path, {
    method: 'POST',
    body,
    redirect: 'manual',
    headers: { Accept: 'text/html', ...headers },
  });
}

test('the page says that no money moves, shows the order escaped, and may run nothing', async () => {
  const metadata = { agentId: 'agent-1', region: 'eu-west', plan: '<script>alert("x")</script>' };
  const { url, id } = await bed.stripe.checkout.sessions.create({ ...subscriptionSession, metadata });
  const response = await fetch(url!);
  expect(response.status).toBe(200);
  const policy = response.headers.get('content-security-policy');
  expect(policy).toContain("default-src 'none'");
  // Browsers hold the redirect after the payment to form-action as well.
  expect(policy).toContain("form-action 'self' http://127.0.0.1:1;");
  expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  const page = await response.text();
  expect(page).toContain('No money moves');
  expect(page).toContain('eu-west');
  expect(page).toContain('€25.00');
  expect(page).toContain('&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;');
  expect(page).not.toContain('<script');
  expect(page).toContain(`action="/checkout/${id}"`);
});

test('paying leads to the success address, twice the same, once the webhook has heard of it', async () => {
  const { id } = await bed.stripe.checkout.sessions.create(subscriptionSession);
  for (const _time of [1, 2]) {
    const response = await post(`/checkout/${id}`, { outcome: 'pay' });
    expect(response.status).toBe(303);
    expect(response.headers.get('location')).toBe(`http://127.0.0.1:1/thanks?session=${id}`);
    const heard = bed.receiver.received.map(({ event }) => event.data.object);
    expect(heard).toContainEqual(expect.objectContaining({ object: 'checkout.session', id }));
  }
  expect(await (await fetch(`${bed.url}/checkout/${id}`)).text()).toContain('This order is paid.');
});

test('a payment that fails buys nothing and can be tried again', async () => {
  const { id } = await bed.stripe.checkout.sessions.create(subscriptionSession);
  const declined = await post(`/checkout/${id}`, { outcome: 'fail' });
  expect(declined.status).toBe(402);
  expect(await declined.text()).toContain('Your card was declined');
  const open = await bed.stripe.checkout.sessions.retrieve(id);
  expect(open).toMatchObject({ status: 'open', payment_status: 'unpaid', subscription: null });
  expect((await post(`/checkout/${id}`, { outcome: 'pay' })).status).toBe(303);
});

test('the order form makes a session whose order stands on session and subscription', async () => {
  const form = await (await fetch(`${bed.url}/checkout`)).text();
  expect(form).toContain('<option>eu-central</option>');
  const placed = await post('/checkout', { region: 'eu-north', userId: 'ann', plan: 'small', agentId: '' });
  expect(placed.status).toBe(303);
  const id = placed.headers.get('location')!.replace('/checkout/', '');
  const session = await bed.stripe.checkout.sessions.retrieve(id);
  const metadata = {
    userId: 'ann',
    region: 'eu-north',
    plan: 'small',
    agentId: expect.stringMatching(/^[0-9a-f-]{36}$/),
  };
  expect(session.metadata).toEqual(metadata);

  const paid = await post(`/checkout/${id}`, { outcome: 'pay' });
  expect(paid.headers.get('location')).toBe(new URL('/', bed.receiver.url).href);
  const { subscription } = await bed.stripe.checkout.sessions.retrieve(id, { expand: ['subscription'] });
  expect(subscription).toMatchObject({ metadata: session.metadata });
});

test('the order form refuses what the service would not understand', async () => {
  for (const order of [{ region: 'mars' }, { region: 'eu-west', agentId: 'Agent One' }]) {
    const refused = await post('/checkout', order);
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain('role="alert"');
  }
});

test('no other site can make a browser order or pay here', async () => {
  const { id } = await bed.stripe.checkout.sessions.create(subscriptionSession);
  const elsewhere = { 'Sec-Fetch-Site': 'cross-site' };
  expect((await post(`/checkout/${id}`, {}, elsewhere)).status).toBe(403);
  expect((await post('/checkout', { region: 'eu-west' }, elsewhere)).status).toBe(403);
  expect(await bed.stripe.checkout.sessions.retrieve(id)).toMatchObject({ status: 'open' });
});

test('an unknown session is a page, or JSON for those who ask for it', async () => {
  const page = await fetch(`${bed.url}/checkout/cs_test_none`, { headers: { Accept: 'text/html' } });
  expect(page.status).toBe(404);
  expect(await page.text()).toContain('No such checkout.session');
  const json = await fetch(`${bed.url}/checkout/cs_test_none`, { headers: { Accept: 'application/json' } });
  expect(await json.json()).toEqual({ error: "No such checkout.session: 'cs_test_none'" });
});
