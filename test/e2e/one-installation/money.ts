import type Stripe from 'stripe';
import { beforeAll, expect, it } from 'vitest';
import { expectNoChanges } from '../../support/clean-stack.ts';
import { eventually } from '../../support/eventually.ts';
import type { Installation } from '../../support/installation.ts';
import { createClient } from '../../support/sandbox.ts';
import { control, advance as move, nowSeconds } from '../../support/sandbox-clock.ts';
import { payWith } from '../../support/sandbox-stripe.ts';

/** A card with which the first payment succeeds and every renewal fails. */
const FAILS_LATER = '4000000000000341';
const DAY = 24 * 3600;
const AGENT = 'unpaid';
/** Its customer lives in a test clock: Stripe's official library alone drives what happens at Stripe. */
const CLOCKED = 'clocked';

let installation: Installation;
let sandbox: { url: string };
let stripe: Stripe;
let subscriptionId: string;
let clock: Stripe.TestHelpers.TestClock;
let clocked: Stripe.Subscription;

/** Moves the sandbox's clock, which the service follows, and the test clock, which only Stripe does. */
async function advance(days: number): Promise<void> {
  await move(sandbox, days * DAY);
  const { frozen_time } = await stripe.testHelpers.testClocks.retrieve(clock.id);
  await stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: frozen_time + days * DAY });
  await eventually(
    'the test clock has arrived',
    async () => (await stripe.testHelpers.testClocks.retrieve(clock.id)).status === 'ready',
    { withinSeconds: 60 },
  );
}

const agent = async (agentId = AGENT) => (await installation.ask(`/api/agents/${agentId}`)).body;
const notices = async (agentId = AGENT): Promise<string[]> =>
  (await installation.ask(`/api/notices?agentId=${agentId}`)).body.items
    .map(({ type }: { type: string }) => type)
    .reverse();

function untilStatus(status: string, agentId = AGENT): Promise<unknown> {
  return eventually(`${agentId} is ${status}`, async () => (await agent(agentId)).status === status, {
    withinSeconds: 120,
    describe: installation.terminal,
  });
}

function untilBilled(state: string, agentId: string): Promise<unknown> {
  return eventually(`${agentId} is ${state}`, async () => (await agent(agentId)).billing?.state === state, {
    withinSeconds: 60,
    describe: installation.terminal,
  });
}

/** What is billed for the agent at Hetzner. */
async function billed(agentId = AGENT): Promise<{ servers: string[]; snapshots: number }> {
  const { hcloudEndpoint, hcloudToken } = installation.connection;
  const list = async (path: string) =>
    (
      await fetch(`${hcloudEndpoint}${path}`, { headers: { authorization: `Bearer ${hcloudToken}` } })
    ).json() as Promise<{ servers: { name: string; status: string }[]; images: unknown[] }>;
  const labels = `label_selector=${encodeURIComponent(`agent-id=${agentId}`)}`;
  const { servers } = await list(`/servers?${labels}`);
  const { images } = await list(`/images?type=snapshot&${labels}`);
  return { servers: servers.map(({ status }) => status), snapshots: images.length };
}

async function checkout(
  path: string,
  fields: Record<string, string>,
): Promise<{ id: string; subscription: string }> {
  const response = await fetch(`${sandbox.url}${path}`, {
    method: 'POST',
    headers: { accept: 'application/json' },
    body: new URLSearchParams(fields),
  });
  expect(response.ok, await response.clone().text()).toBe(true);
  return (await response.json()) as { id: string; subscription: string };
}

/** Buys as a shop does that uses Stripe's library; the page alone is for a browser. */
async function orderByLibrary(): Promise<void> {
  clock = await stripe.testHelpers.testClocks.create({ frozen_time: await nowSeconds(sandbox) });
  const customer = await stripe.customers.create({ test_clock: clock.id, email: 'buyer@example.com' });
  const price = await stripe.prices.create({
    currency: 'eur',
    unit_amount: 2900,
    product_data: { name: 'Agent' },
    recurring: { interval: 'month' },
  });
  const session = await stripe.checkout.sessions.create({
    mode: 'subscription',
    customer: customer.id,
    line_items: [{ price: price.id, quantity: 1 }],
    success_url: 'https://shop.example.com/thanks',
    metadata: { agentId: CLOCKED, userId: 'user-2', region: 'eu-central' },
  });
  const { subscription } = await checkout(`/checkout/${session.id}`, { card: FAILS_LATER });
  clocked = await stripe.subscriptions.retrieve(subscription);
  expect(clocked).toMatchObject({ status: 'active', test_clock: clock.id });
}

export function testMoney(get: () => Installation): void {
  beforeAll(() => {
    installation = get();
    const { stripeApiUrl: url, stripeApiKey: key } = installation.connection;
    sandbox = { url };
    stripe = createClient(url, { key });
  });

  it('a paid order becomes an agent that shows its subscription', async () => {
    // Stripe gives up after two weeks, and leaves what follows to the service.
    const dunning = await control(sandbox, 'PUT', 'stripe/dunning', { subscription: 'leave_past_due' });
    expect(dunning.status).toBe(200);
    const { id } = await checkout('/checkout', { region: 'eu-central', agentId: AGENT });
    ({ subscription: subscriptionId } = await checkout(`/checkout/${id}`, { card: FAILS_LATER }));
    await orderByLibrary();
    for (const agentId of [AGENT, CLOCKED]) {
      await installation.untilAgent(agentId, 'running', 90);
      await untilBilled('paid', agentId);
    }
    expect(await agent()).toMatchObject({ billing: { subscriptionId, unpaidSince: null }, holds: [] });
  }, 240_000);

  it('a renewal that fails is announced to the buyer, and the agent keeps running', async () => {
    await advance(32);
    for (const agentId of [AGENT, CLOCKED]) {
      await untilBilled('past_due', agentId);
      expect(await agent(agentId)).toMatchObject({ status: 'running', holds: [] });
      expect(await notices(agentId)).toContain('agent.payment_failed');
    }
  }, 90_000);

  it('it is warned and then switched off, with its data', async () => {
    await advance(8);
    await eventually(
      'the suspension is announced',
      async () => (await notices()).includes('agent.will_suspend'),
      {
        withinSeconds: 60,
      },
    );
    expect(await agent()).toMatchObject({ status: 'running' });
    await advance(8);
    for (const agentId of [AGENT, CLOCKED]) {
      await untilStatus('suspended', agentId);
      const suspended = { holds: [{ reason: 'payment' }], billing: { state: 'suspended' } };
      expect(await agent(agentId)).toMatchObject(suspended);
      expect(await billed(agentId)).toEqual({ servers: ['off'], snapshots: 0 });
    }
  }, 240_000);

  it('the customer of the test clock pays by the library, and its agent runs again, on the same server', async () => {
    await payWith({ stripe }, clocked, 'pm_card_visa');
    const [owed] = (await stripe.invoices.list({ subscription: clocked.id, status: 'open' })).data;
    expect(await stripe.invoices.pay(owed!.id!)).toMatchObject({ status: 'paid' });
    await untilStatus('running', CLOCKED);
    expect(await agent(CLOCKED)).toMatchObject({ holds: [], health: 'healthy', billing: { state: 'paid' } });
    expect(await billed(CLOCKED)).toEqual({ servers: ['running'], snapshots: 0 });
    const told = await notices(CLOCKED);
    expect(told.indexOf('agent.will_suspend')).toBeLessThan(told.indexOf('agent.suspended'));
    expect(told).toContain('agent.resumed');
    expect(await agent()).toMatchObject({ status: 'suspended' });
  }, 150_000);

  it('after a week a snapshot takes the place of its server, and its stack stays true', async () => {
    await advance(8);
    await untilStatus('hibernated');
    expect(await agent(CLOCKED)).toMatchObject({ status: 'running', holds: [], billing: { state: 'paid' } });
    expect(await billed()).toEqual({ servers: [], snapshots: 1 });
    const receipt = await installation.ask(`/api/agents/${AGENT}/receipt`);
    expect(receipt.body).toMatchObject({
      kind: 'hibernate',
      body: { evidence: { removed: [{ kind: 'server' }] } },
    });
    await expectNoChanges(installation, AGENT);
  }, 180_000);

  it('a payment brings it back by itself, on one server, without its snapshot', async () => {
    const paid = await control(sandbox, 'POST', 'stripe/invoices/pay', { subscriptionId });
    expect(paid.status).toBe(200);
    await untilStatus('running');
    expect(await agent()).toMatchObject({ holds: [], health: 'healthy', billing: { state: 'paid' } });
    await eventually('only the server is billed', async () => (await billed()).snapshots === 0, {
      withinSeconds: 30,
    });
    expect(await billed()).toEqual({ servers: ['running'], snapshots: 0 });
    const told = (await notices()).filter((type) => !/running/.test(type));
    expect(told.indexOf('agent.will_suspend')).toBeLessThan(told.indexOf('agent.suspended'));
    expect(told).toContain('agent.resumed');
  }, 180_000);

  it('every change is in an audit log that is whole', async () => {
    await eventually(
      'the log is sealed',
      async () => (await installation.agents('audit', 'verify')).stdout.includes(' 0 not sealed'),
      { withinSeconds: 60 },
    );
    const { stdout } = await installation.agents('audit', AGENT);
    for (const action of ['hold.place', 'agent.suspend', 'agent.hibernate', 'hold.release', 'agent.wake'])
      expect(stdout).toContain(action);
  }, 90_000);
}
