import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { resizePauseSeconds } from '../../../src/billing/follow/failed-resize.ts';
import { lookAtDue } from '../../../src/billing/follow/follower.ts';
import { PermanentError, ShortageError } from '../../../src/errors.ts';
import { cancelOperation } from '../../../src/operations/cancel.ts';
import { claimNext } from '../../../src/operations/claims.ts';
import { settleFailure } from '../../../src/operations/settle.ts';
import { type BillingFixture, startBilling } from '../../support/billing-fixture.ts';
import { deliver, paidCheckout } from '../../support/stripe-events.ts';

vi.setConfig({ testTimeout: 60_000 });

let at: BillingFixture;
beforeAll(async () => {
  at = await startBilling();
});
afterAll(() => at.stop());
beforeEach(() => at.reset());

const agent = async () => (await at.service.ask('/api/agents/a1')).json();
const resizes = async () =>
  (
    await at.deps.database
      .selectFrom('operations')
      .select(['status', 'parameters', 'operation_id'])
      .where('kind', '=', 'resize')
      .orderBy('sequence')
      .execute()
  ).map((row) => ({ id: row.operation_id, status: row.status, plan: row.parameters.plan }));

/** The subscription has this price, and its invoice is paid. */
function price(priceId: string, invoice: string): void {
  const items = [{ id: 'si_1', price: { id: priceId, product: 'prod_1' }, quantity: 1 }];
  at.stripe.subscribe('sub_1', { items: { object: 'list', data: items, has_more: false } });
  const lines = [{ amount: 2900, pricing: { price_details: { price: priceId } } }];
  at.stripe.owe('sub_1', invoice, at.now(), {
    lines: { object: 'list', data: lines, has_more: false },
    created: Math.floor(at.now().getTime() / 1000) + at.stripe.invoices.length,
  });
  at.stripe.settle(invoice);
}
const changed = () => at.tell('customer.subscription.updated', { id: 'sub_1' });
const resize = (plan: string) => at.service.ask('/api/agents/a1/resize', { json: { plan } });

/** An agent that runs with the plan of its price. */
async function buyStarter(): Promise<void> {
  price('price_starter', 'in_1');
  await at.buy('a1', 'sub_1');
}

test('an agent that nobody has begun to create gets the plan of its price at once', async () => {
  price('price_pro', 'in_1');
  await at.buy('a1', 'sub_1');
  expect(await agent()).toMatchObject({ status: 'running', plan: 'pro', planChosenAt: null });
  expect(await resizes()).toEqual([]);
});

test('an agent whose price is not paid yet, as far as Stripe tells, is not hurried to begin with another plan', async () => {
  price('price_pro', 'in_1');
  at.stripe.invoices[0]!.status = 'open';
  const session = { subscription: 'sub_1', customer: 'cus_sub_1' };
  await deliver(at.service.url, paidCheckout({ agentId: 'a1' }, { session }));
  // As an order waits for its price.
  await sql`update operations set run_after = now() + interval '1 hour'`.execute(at.deps.database);
  await lookAtDue(at.deps);
  expect(await at.work()).toBe(0);
  expect(await agent()).toMatchObject({ status: 'requested', plan: 'starter' });
  at.stripe.settle('in_1');
  await at.tell('invoice.paid', { id: 'in_1', subscription: 'sub_1' });
  await at.settle();
  expect(await agent()).toMatchObject({ status: 'running', plan: 'pro' });
  expect(await resizes()).toEqual([]);
});

test('a larger plan that would cost too much is left to a resize that waits for a person', async () => {
  await sql`insert into server_prices values ('cx23', 'nbg1', 0.01, now()), ('cx33', 'nbg1', 0.02, now())
    on conflict do nothing`.execute(at.deps.database);
  await sql`update breakers set limit_euros = 0.01 where name = 'spend'`.execute(at.deps.database);
  price('price_pro', 'in_1');
  const session = { subscription: 'sub_1', customer: 'cus_sub_1' };
  await deliver(at.service.url, paidCheckout({ agentId: 'a1' }, { session }));
  await lookAtDue(at.deps);
  expect(await agent()).toMatchObject({ status: 'requested', plan: 'starter' });
  await sql`update breakers set limit_euros = null, tripped_at = null, cause = null where name = 'spend'`.execute(
    at.deps.database,
  );
});

test('a person’s resize stays until the price changes', async () => {
  await buyStarter();
  expect((await resize('max')).status).toBe(202);
  await at.settle();
  expect(await agent()).toMatchObject({ plan: 'max', planChosenAt: expect.any(String) });
  await changed();
  await at.pass(30);
  expect(await agent()).toMatchObject({ plan: 'max' });
  expect(await (await at.service.ask('/agents/a1')).text()).toContain('chosen by a person');
  price('price_pro', 'in_2');
  await changed();
  await at.settle();
  expect(await agent()).toMatchObject({ plan: 'pro', planChosenAt: null });
  expect((await resizes()).map(({ plan }) => plan)).toEqual(['max', 'pro']);
});

test('a person gives an agent back to its price by the resize to the price’s plan', async () => {
  await buyStarter();
  await resize('max');
  await at.settle();
  await resize('starter');
  await at.settle();
  expect(await agent()).toMatchObject({ plan: 'starter', planChosenAt: null });
});

test('an ended subscription that names another plan does not keep a person from giving it back', async () => {
  await buyStarter();
  const items = [{ id: 'si_2', price: { id: 'price_pro', product: 'prod_1' }, quantity: 1 }];
  const customer = 'cus_sub_1';
  at.stripe.subscribe('sub_2', { customer, items: { object: 'list', data: items, has_more: false } });
  const lines = [{ amount: 2900, pricing: { price_details: { price: 'price_pro' } } }];
  at.stripe.owe('sub_2', 'in_2', at.now(), { lines: { object: 'list', data: lines, has_more: false } });
  at.stripe.settle('in_2');
  const session = { id: 'cs_2', subscription: 'sub_2', customer };
  await deliver(at.service.url, paidCheckout({ agentId: 'a1' }, { session }));
  at.stripe.cancel('sub_1', at.now());
  await changed();
  await at.settle();
  expect(await agent()).toMatchObject({ status: 'running', plan: 'pro', planChosenAt: null });
  await resize('max');
  await at.settle();
  expect(await agent()).toMatchObject({ plan: 'max', planChosenAt: expect.any(String) });
  await resize('pro');
  await at.settle();
  expect(await agent()).toMatchObject({ plan: 'pro', planChosenAt: null });
});

const error = new ShortageError('Waiting for a server of plan pro in nbg1');

/** A resize that the price wants, and that waits for a server. */
async function waitingResize(): Promise<string> {
  await buyStarter();
  price('price_pro', 'in_2');
  await changed();
  await lookAtDue(at.deps);
  const row = await claimNext(at.deps.database, 'w1');
  const claim = { operationId: row!.operation_id, attempt: 1, workerId: 'w1' };
  await settleFailure(at.deps, claim, { error, step: 'preparing' });
  return row!.operation_id;
}

test('a resize that a person cancels is asked for again after ten minutes, not at once', async () => {
  const operationId = await waitingResize();
  const { database, queue } = at.deps;
  await database
    .transaction()
    .execute((trx) => cancelOperation(trx, queue, { operationId, actor: 'operator' }));
  await at.settle();
  expect(await resizes()).toMatchObject([{ status: 'cancelled' }]);
  await sql`update operations set finished_at = finished_at - interval '11 minutes' where kind = 'resize'`.execute(
    database,
  );
  await at.pass(1 / 48);
  expect(await resizes()).toMatchObject([{ status: 'cancelled' }, { status: 'succeeded', plan: 'pro' }]);
});

test('a resize that waits for a plan whose price has changed again is replaced', async () => {
  await waitingResize();
  price('price_max', 'in_3');
  await changed();
  await at.settle();
  await sql`update operations set finished_at = finished_at - interval '11 minutes' where kind = 'resize'`.execute(
    at.deps.database,
  );
  await at.pass(1 / 48);
  expect(await agent()).toMatchObject({ plan: 'max' });
  expect(await resizes()).toMatchObject([{ status: 'cancelled' }, { status: 'succeeded', plan: 'max' }]);
});

/** The end of the last resize was this long ago. */
async function ago(minutes: number): Promise<void> {
  const last = sql`(select max(sequence) from operations where kind = 'resize')`;
  await sql`update operations set finished_at = now() - make_interval(mins => ${minutes}) where sequence = ${last}`.execute(
    at.deps.database,
  );
}

/** Looks again when the subscription says that it is due, at the latest after this many minutes. */
async function lookWithin(minutes: number): Promise<void> {
  await at.pass(minutes / (24 * 60));
}

test('a paid upgrade whose resize has failed for good is tried again ever less often, and needs a person', async () => {
  await buyStarter();
  price('price_pro', 'in_2');
  const { resize: succeeds } = at.runbooks;
  at.runbooks.resize = () => Promise.reject(new PermanentError('its disk is too large'));
  await changed();
  await at.settle();
  const failed = { status: 'failed', plan: 'pro' };
  expect(await resizes()).toMatchObject([failed]);
  expect(await at.findings()).toEqual([
    {
      class: 'failed',
      agent_id: 'a1',
      cause: expect.stringMatching(/has the plan pro, and .* has failed once: its disk is too large$/),
      cure: expect.stringContaining('press Retry'),
    },
  ]);
  expect(await (await at.service.ask('/api/attention')).text()).toContain('its disk is too large');
  // Ten minutes have not passed.
  await lookWithin(11);
  expect(await resizes()).toMatchObject([failed]);
  await ago(11);
  await lookWithin(11);
  expect(await resizes()).toMatchObject([failed, failed]);
  await ago(11);
  await lookWithin(31);
  expect(await resizes()).toMatchObject([failed, failed]);
  expect((await at.findings())[0]!.cause).toContain('failed 2 times');
  // Another price is another plan: it does not wait.
  price('price_max', 'in_3');
  await changed();
  await at.settle();
  expect((await resizes()).at(-1)).toMatchObject({ status: 'failed', plan: 'max' });
  price('price_pro', 'in_4');
  at.runbooks.resize = succeeds!;
  await changed();
  await at.settle();
  expect(await agent()).toMatchObject({ status: 'running', plan: 'pro' });
  expect(await at.findings()).toEqual([]);
});

test('another plan that cannot be asked for yet is asked for again soon, whatever has failed', async () => {
  await buyStarter();
  price('price_pro', 'in_2');
  at.runbooks.resize = () => Promise.reject(new PermanentError('its disk is too large'));
  await changed();
  await at.settle();
  await ago(11);
  await lookWithin(11);
  expect(await resizes()).toHaveLength(2);
  // Another operation is under way when the price changes.
  expect((await at.service.ask('/api/agents/a1/restart', { json: {} })).status).toBe(202);
  price('price_max', 'in_3');
  await changed();
  await lookAtDue(at.deps);
  expect(await resizes()).toHaveLength(2);
  const { next_at: next } = await at.deps.database
    .selectFrom('subscriptions')
    .select('next_at')
    .executeTakeFirstOrThrow();
  expect((next!.getTime() - at.now().getTime()) / 60_000).toBeLessThanOrEqual(10);
});

test('the pause grows from ten minutes to a day', () => {
  expect([1, 2, 3, 4, 5, 6, 50].map((failures) => resizePauseSeconds(failures) / 60)).toEqual([
    10, 30, 90, 270, 810, 1440, 1440,
  ]);
});
