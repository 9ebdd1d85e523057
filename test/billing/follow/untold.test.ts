import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type BillingFixture, startBilling } from '../../support/billing-fixture.ts';
import { deliver, paidCheckout } from '../../support/stripe-events.ts';

// Each of them lives through weeks.
vi.setConfig({ testTimeout: 120_000 });

let at: BillingFixture;
beforeAll(async () => {
  at = await startBilling({ mailsBuyers: true });
});
afterAll(() => at.stop());
beforeEach(() => at.reset());

async function buyAndOwe(details?: object): Promise<void> {
  at.stripe.subscribe('sub_1');
  const session = { subscription: 'sub_1', customer: 'cus_sub_1', customer_details: details };
  expect(await deliver(at.service.url, paidCheckout({ agentId: 'a1' }, { session }))).toMatchObject({
    status: 200,
  });
  await at.settle();
  expect(await at.findings()).toEqual([]);
  at.stripe.subscribe('sub_1', { status: 'past_due' });
  at.stripe.owe('sub_1', 'in_1', at.now());
  await at.tell('invoice.payment_failed', { id: 'in_1', subscription: 'sub_1' });
  await at.settle();
}

const UNTOLD = [
  { class: 'mismatch', agent_id: 'a1', cause: expect.stringContaining('no mail tells its buyer') },
];

test.each([
  ['no order names an address', undefined],
  ['the order names none that mail can reach', { email: 'not an address' }],
])('harm that is announced needs a person while %s', async (_, details) => {
  await buyAndOwe(details);
  expect(await at.findings()).toMatchObject(UNTOLD);
  await at.pass(16);
  expect(await at.status('a1')).toBe('suspended');
  expect(await at.findings()).toMatchObject(UNTOLD);
  at.stripe.settle('in_1');
  at.stripe.subscribe('sub_1', { status: 'active' });
  await at.tell('invoice.paid', { id: 'in_1', subscription: 'sub_1' });
  await at.settle();
  expect(await at.findings()).toEqual([]);
});

test('harm whose buyer has an address needs no one', async () => {
  await buyAndOwe({ email: 'buyer@example.com' });
  expect(await at.findings()).toEqual([]);
});

test('without mail no address is missed', async () => {
  at.deps.mailsBuyers = false;
  await buyAndOwe();
  expect(await at.findings()).toEqual([]);
});
