import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSandboxDatabase, type SandboxDatabase } from '../../../sandbox/database.ts';
import { createCustomer } from '../../../sandbox/stripe/customers.ts';
import { insertObject } from '../../../sandbox/stripe/objects.ts';
import { storeMethod } from '../../../sandbox/stripe/payment-methods.ts';
import { createPrice } from '../../../sandbox/stripe/prices.ts';
import { newSubscription } from '../../../sandbox/stripe/subscription-object.ts';
import { WORKING_CARD } from '../../../sandbox/stripe/test-cards.ts';
import { transact } from '../../../sandbox/stripe/transact.ts';
import { type SandboxFixture, setup, until } from '../../support/sandbox.ts';
import { advance, control, DAY, readClock } from '../../support/sandbox-clock.ts';

let sandbox: SandboxFixture;
let database: SandboxDatabase;
beforeEach(async () => {
  sandbox = await setup();
  database = await openSandboxDatabase(sandbox.databaseUrl);
});
afterEach(async () => {
  await database.destroy();
  await sandbox.close();
});

/** Stores subscriptions of 10 € a month, each of its own customer with a card that works. */
async function subscribeMany(count: number): Promise<void> {
  await transact(database, [], async (trx) => {
    const recurring = { interval: 'month', interval_count: 1 } as const;
    const product_data = { name: 'Agent', metadata: {} };
    const price = await createPrice(trx, { currency: 'eur', unit_amount: 1000, product_data, recurring });
    for (let number = 0; number < count; number++) {
      const customer = await createCustomer(trx, { name: `Customer ${number}`, metadata: {} });
      const { id: default_payment_method } = await storeMethod(trx, WORKING_CARD, {
        customerId: customer.id,
      });
      const lineItems = [{ price, quantity: 1, description: null }];
      const made = newSubscription({ customerId: customer.id, lineItems, metadata: {} });
      await insertObject(trx, { ...made, default_payment_method } as typeof made);
    }
  });
}

/** Counts invoices by status, and the periods that a subscription was billed for twice. */
async function countInvoices() {
  const rows = await database
    .selectFrom('stripe_objects')
    .select('body')
    .where('object', '=', 'invoice')
    .$castTo<{
      body: { status: string; created: number; parent: { subscription_details: { subscription: string } } };
    }>()
    .execute();
  const billed = rows.map(({ body }) => `${body.parent.subscription_details.subscription} ${body.created}`);
  return {
    paid: rows.filter(({ body }) => body.status === 'paid').length,
    others: rows.filter(({ body }) => body.status !== 'paid').length,
    twice: billed.length - new Set(billed).size,
  };
}

test('a month of 200 subscriptions takes seconds of this process', async () => {
  await subscribeMany(200);
  const before = process.cpuUsage();
  // A draft is finalised an hour after the month, which may have 31 days, is over.
  await advance(sandbox, 32 * DAY);
  const { user, system } = process.cpuUsage(before);
  // The processor's time, which does not depend on what else the machine does: sandbox and webhook together.
  expect((user + system) / 1e6).toBeLessThan(30);
  expect(await countInvoices()).toEqual({ paid: 200, others: 0, twice: 0 });
}, 300_000);

test('a year renews each subscription once a month', async () => {
  await subscribeMany(3);
  await advance(sandbox, 366 * DAY);
  // The last draft, in a year that is this long.
  await advance(sandbox, DAY);
  expect(await countInvoices()).toEqual({ paid: 3 * 12, others: 0, twice: 0 });
}, 180_000);

test('a move that is cut off is continued by the next start, with nothing lost or doubled', async () => {
  const subscriptions = 20;
  await subscribeMany(subscriptions);
  const moving = advance(sandbox, 65 * DAY).catch(() => undefined);
  await until(async () => (await countInvoices()).paid > 0);
  await sandbox.stop();
  await moving;
  const cut = await countInvoices();
  expect(cut.paid).toBeLessThan(2 * subscriptions);
  await sandbox.restart();
  await expect.poll(async () => (await readClock(sandbox)).targetSeconds, { timeout: 60_000 }).toBeNull();
  expect(await readClock(sandbox)).toMatchObject({ offsetSeconds: 65 * DAY });
  expect(await countInvoices()).toEqual({ paid: 2 * subscriptions, others: 0, twice: 0 });
  expect((await control(sandbox, 'GET', 'clock')).status).toBe(200);
}, 120_000);
