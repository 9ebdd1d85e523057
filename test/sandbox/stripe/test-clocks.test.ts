import Stripe from 'stripe';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SandboxFixture, setup, subscriptionSession, until } from '../../support/sandbox.ts';
import { advance, DAY } from '../../support/sandbox-clock.ts';
import { subscribe } from '../../support/sandbox-stripe.ts';

const FROZEN = Date.UTC(2030, 0, 15) / 1000;

let sandbox: SandboxFixture;
let price: Stripe.Price;
beforeAll(async () => {
  sandbox = await setup();
  price = await sandbox.stripe.prices.create({
    currency: 'eur',
    unit_amount: 2900,
    product_data: { name: 'Agent' },
    recurring: { interval: 'month' },
  });
});
afterAll(() => sandbox.close());

const clocks = () => sandbox.stripe.testHelpers.testClocks;

async function createClockCustomer() {
  const clock = await clocks().create({ frozen_time: FROZEN, name: 'Renewals' });
  const customer = await sandbox.stripe.customers.create({
    test_clock: clock.id,
    payment_method: 'pm_card_visa',
  });
  const [card] = (await sandbox.stripe.paymentMethods.list({ customer: customer.id })).data;
  const subscription = await sandbox.stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
    default_payment_method: card!.id,
  });
  return { clock, customer, subscription };
}

async function moveTo(clock: string, frozen_time: number) {
  const moving = await clocks().advance(clock, { frozen_time });
  expect(moving).toMatchObject({
    status: 'advancing',
    status_details: { advancing: { target_frozen_time: frozen_time } },
  });
  await until(async () => (await clocks().retrieve(clock)).status === 'ready');
}

test('a customer of a test clock lives in its time, with everything that belongs to it', async () => {
  const { clock, customer, subscription } = await createClockCustomer();
  expect(clock).toMatchObject({ object: 'test_helpers.test_clock', frozen_time: FROZEN, status: 'ready' });
  expect(customer).toMatchObject({ created: FROZEN, test_clock: clock.id });
  expect(subscription).toMatchObject({ created: FROZEN, test_clock: clock.id, status: 'active' });
  const end = subscription.items.data[0]!.current_period_end;
  expect(end).toBe(Date.UTC(2030, 1, 15) / 1000);
  await moveTo(clock.id, end + 2 * 3600);
  expect(await clocks().retrieve(clock.id)).toMatchObject({
    frozen_time: end + 2 * 3600,
    status_details: {},
  });
  const renewed = await sandbox.stripe.subscriptions.retrieve(subscription.id, {
    expand: ['latest_invoice'],
  });
  expect(renewed.items.data[0]?.current_period_start).toBe(end);
  expect(renewed.latest_invoice).toMatchObject({
    status: 'paid',
    created: end,
    test_clock: clock.id,
    status_transitions: { paid_at: end + 3600 },
  });
  const types = (await sandbox.stripe.events.list({ type: 'test_helpers.test_clock.*' })).data;
  expect(types.map(({ type }) => type.split('.').at(-1))).toEqual(['ready', 'advancing', 'created']);
});

test('nothing else moves with a test clock, and its customers move with no other', async () => {
  const other = await subscribe(sandbox);
  const { clock, subscription } = await createClockCustomer();
  await moveTo(clock.id, FROZEN + 40 * DAY);
  expect(await sandbox.stripe.subscriptions.retrieve(other.id)).toMatchObject({ items: other.items });
  await advance(sandbox, 20 * DAY);
  const { data } = await sandbox.stripe.invoices.list({ subscription: subscription.id });
  expect(data).toHaveLength(2);
  const session = await sandbox.stripe.checkout.sessions.create({
    ...subscriptionSession,
    customer: String(subscription.customer),
  });
  expect(session.created).toBe(FROZEN + 40 * DAY);
});

test('lists show a clock’s objects only to those who name the clock or the customer', async () => {
  const { clock, customer, subscription } = await createClockCustomer();
  const ids = (list: { data: { id: string }[] }) => list.data.map(({ id }) => id);
  const { customers, subscriptions } = sandbox.stripe;
  expect(ids(await customers.list({ limit: 100 }))).not.toContain(customer.id);
  expect(ids(await customers.list({ test_clock: clock.id }))).toEqual([customer.id]);
  expect(ids(await subscriptions.list({ limit: 100 }))).not.toContain(subscription.id);
  expect(ids(await subscriptions.list({ test_clock: clock.id }))).toEqual([subscription.id]);
  expect(ids(await subscriptions.list({ customer: customer.id }))).toEqual([subscription.id]);
  expect(ids(await clocks().list({ limit: 1 }))).toEqual([clock.id]);
});

test('a clock goes forward only, and at most two intervals at once', async () => {
  const { clock } = await createClockCustomer();
  for (const frozen_time of [FROZEN, FROZEN - 1, Date.UTC(2030, 2, 15) / 1000 + 1])
    await expect(clocks().advance(clock.id, { frozen_time })).rejects.toMatchObject({
      statusCode: 400,
      param: 'frozen_time',
    });
  await moveTo(clock.id, Date.UTC(2030, 2, 15) / 1000);
  const empty = await clocks().create({ frozen_time: FROZEN });
  await moveTo(empty.id, FROZEN + 700 * DAY);
  await expect(sandbox.stripe.customers.create({ test_clock: 'clock_none' })).rejects.toMatchObject({
    statusCode: 400,
    param: 'test_clock',
  });
});

test('while a clock moves its objects cannot be changed; deleting it ends them', async () => {
  const { clock, customer, subscription } = await createClockCustomer();
  await clocks().advance(clock.id, { frozen_time: FROZEN + 50 * DAY });
  // The clock may be there already: then the change is allowed.
  const change = await sandbox.stripe.customers
    .update(customer.id, { name: 'Ann' })
    .then(() => undefined)
    .catch((error: unknown) => error);
  if (change !== undefined) expect(change).toBeInstanceOf(Stripe.errors.StripeInvalidRequestError);
  await until(async () => (await clocks().retrieve(clock.id)).status === 'ready');
  expect(await clocks().del(clock.id)).toEqual({
    id: clock.id,
    object: 'test_helpers.test_clock',
    deleted: true,
  });
  await expect(clocks().retrieve(clock.id)).rejects.toMatchObject({ statusCode: 404 });
  await expect(sandbox.stripe.customers.retrieve(customer.id)).rejects.toMatchObject({ statusCode: 404 });
  const { data } = await sandbox.stripe.events.list({ type: 'customer.subscription.deleted', limit: 1 });
  expect(data[0]).toMatchObject({
    created: FROZEN + 50 * DAY,
    data: { object: { id: subscription.id, status: 'canceled' } },
  });
});
