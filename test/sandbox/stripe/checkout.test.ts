import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SandboxFixture, setup, subscriptionSession } from '../../support/sandbox.ts';

let sandbox: SandboxFixture;
beforeAll(async () => {
  sandbox = await setup();
});
afterAll(() => sandbox.close());

function post(path: string, form: Record<string, string>, headers: Record<string, string> = {}) {
  const body = new URLSearchParams(form);
  return fetch(sandbox.url + path, {
    method: 'POST',
    body,
    redirect: 'manual',
    headers: { Accept: 'text/html', ...headers },
  });
}

test('the page says that no money moves, escapes the order, and cannot run scripts', async () => {
  const metadata = { agentId: 'agent-1', region: 'eu-west', plan: '<script>alert("x")</script>' };
  const { url, id } = await sandbox.stripe.checkout.sessions.create({ ...subscriptionSession, metadata });
  const response = await fetch(url!);
  expect(response.status).toBe(200);
  const policy = response.headers.get('content-security-policy');
  expect(policy).toContain("default-src 'none'");
  // Browsers check the redirect after the payment against form-action too.
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

test('paying redirects to the success address, also a second time, after the webhook got the event', async () => {
  const { id } = await sandbox.stripe.checkout.sessions.create(subscriptionSession);
  for (const _time of [1, 2]) {
    const response = await post(`/checkout/${id}`, { outcome: 'pay' });
    expect(response.status).toBe(303);
    expect(response.headers.get('location')).toBe(`http://127.0.0.1:1/thanks?session=${id}`);
    const heard = sandbox.receiver.received.map(({ event }) => event.data.object);
    expect(heard).toContainEqual(expect.objectContaining({ object: 'checkout.session', id }));
  }
  expect(await (await fetch(`${sandbox.url}/checkout/${id}`)).text()).toContain('This order is paid.');
});

test('a failed payment buys nothing and can be retried', async () => {
  const { id } = await sandbox.stripe.checkout.sessions.create(subscriptionSession);
  const declined = await post(`/checkout/${id}`, { outcome: 'fail' });
  expect(declined.status).toBe(402);
  expect(await declined.text()).toContain('Your card was declined');
  const open = await sandbox.stripe.checkout.sessions.retrieve(id);
  expect(open).toMatchObject({ status: 'open', payment_status: 'unpaid', subscription: null });
  expect((await post(`/checkout/${id}`, { outcome: 'pay' })).status).toBe(303);
});

test('the chosen test card pays and is kept; one that refuses buys nothing', async () => {
  const { id } = await sandbox.stripe.checkout.sessions.create(subscriptionSession);
  const poor = await post(`/checkout/${id}`, { outcome: 'pay', card: '4000000000009995' });
  expect(poor.status).toBe(402);
  expect(await poor.text()).toContain('Your card has insufficient funds. Nothing was bought.');
  const unknown = await post(`/checkout/${id}`, { card: '1234' }, { Accept: 'application/json' });
  expect([unknown.status, await unknown.json()]).toEqual([402, { error: 'Your card number is incorrect.' }]);
  expect((await post(`/checkout/${id}`, { outcome: 'pay', card: '4000 0000 0000 0341' })).status).toBe(303);
  const { subscription, payment_status } = await sandbox.stripe.checkout.sessions.retrieve(id, {
    expand: ['subscription.default_payment_method'],
  });
  expect(payment_status).toBe('paid');
  expect(subscription).toMatchObject({ default_payment_method: { card: { last4: '0341' } } });
});

test('a paid order leads to the portal of its customer, and an open one does not', async () => {
  const { id } = await sandbox.stripe.checkout.sessions.create(subscriptionSession);
  expect((await post('/portal', { session: id })).status).toBe(400);
  await post(`/checkout/${id}`, { outcome: 'pay' });
  expect(await (await fetch(`${sandbox.url}/checkout/${id}`)).text()).toContain('Manage billing');
  const opened = await post('/portal', { session: id });
  expect(opened.status).toBe(303);
  const portal = await fetch(new URL(opened.headers.get('location')!, sandbox.url));
  expect(await portal.text()).toContain(`/checkout/${id}">Return</a>`);
});

test('the order form creates a session; session and subscription both carry the order', async () => {
  const form = await (await fetch(`${sandbox.url}/checkout`)).text();
  expect(form).toContain('<option>eu-central</option>');
  const placed = await post('/checkout', { region: 'eu-north', userId: 'ann', plan: 'small', agentId: '' });
  expect(placed.status).toBe(303);
  const id = placed.headers.get('location')!.replace('/checkout/', '');
  const session = await sandbox.stripe.checkout.sessions.retrieve(id);
  const metadata = {
    userId: 'ann',
    region: 'eu-north',
    plan: 'small',
    agentId: expect.stringMatching(/^[0-9a-f-]{36}$/),
  };
  expect(session.metadata).toEqual(metadata);

  const paid = await post(`/checkout/${id}`, { outcome: 'pay' });
  expect(paid.headers.get('location')).toBe(new URL(`/status?session=${id}`, sandbox.receiver.url).href);
  const { subscription } = await sandbox.stripe.checkout.sessions.retrieve(id, { expand: ['subscription'] });
  expect(subscription).toMatchObject({ metadata: session.metadata });
});

test('the order form refuses invalid orders', async () => {
  for (const order of [{ region: 'mars' }, { region: 'eu-west', agentId: 'Agent One' }]) {
    const refused = await post('/checkout', order);
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain('role="alert"');
  }
});

test('other websites cannot order or pay through a browser', async () => {
  const { id } = await sandbox.stripe.checkout.sessions.create(subscriptionSession);
  const elsewhere = { 'Sec-Fetch-Site': 'cross-site' };
  expect((await post(`/checkout/${id}`, {}, elsewhere)).status).toBe(403);
  expect((await post('/checkout', { region: 'eu-west' }, elsewhere)).status).toBe(403);
  expect(await sandbox.stripe.checkout.sessions.retrieve(id)).toMatchObject({ status: 'open' });
});

test('an unknown session is answered as a page, or as JSON on request', async () => {
  const page = await fetch(`${sandbox.url}/checkout/cs_test_none`, { headers: { Accept: 'text/html' } });
  expect(page.status).toBe(404);
  expect(await page.text()).toContain('No such checkout.session');
  const json = await fetch(`${sandbox.url}/checkout/cs_test_none`, {
    headers: { Accept: 'application/json' },
  });
  expect(await json.json()).toEqual({ error: "No such checkout.session: 'cs_test_none'" });
});

test('every page of the order leads back to the dashboard', async () => {
  const home = `href="${new URL('/', sandbox.receiver.url).href}">Back to the dashboard`;
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const placed = await fetch(`${sandbox.url}/checkout`, {
    method: 'POST',
    redirect: 'manual',
    headers: { ...form, accept: 'text/html' },
    body: 'region=us-west',
  });
  const session = `${sandbox.url}${placed.headers.get('location')}`;
  const shown = async (url: string) => (await fetch(url, { headers: { accept: 'text/html' } })).text();
  expect(await shown(`${sandbox.url}/checkout`)).toContain(home);
  const open = await shown(session);
  expect(open).toContain(home);
  expect(open).toContain('<a href="/checkout">Change the order</a>');
  await fetch(session, { method: 'POST', redirect: 'manual', headers: { accept: 'text/html' } });
  const paid = await shown(session);
  expect(paid).toContain(home);
  expect(paid).toContain('/status?session=cs_test_');
  expect(paid).toContain('To your agent’s page');
});
