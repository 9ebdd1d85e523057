import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SandboxFixture, setup } from '../../support/sandbox.ts';
import { eventTypes, payWith, subscribe } from '../../support/sandbox-stripe.ts';

let sandbox: SandboxFixture;
beforeAll(async () => {
  sandbox = await setup();
});
afterAll(() => sandbox.close());

const subscriptions = () => sandbox.stripe.subscriptions;

test('a subscription is paused and resumed, with a new period that is charged', async () => {
  const { id, items } = await subscribe(sandbox);
  const paused = await subscriptions().pause(id);
  expect(paused).toMatchObject({
    status: 'paused',
    status_details: { paused: { subscription: { type: 'pause_requested' } } },
  });
  expect(await eventTypes(sandbox, 2)).toEqual([
    'customer.subscription.paused',
    'customer.subscription.updated',
  ]);
  await expect(subscriptions().pause(id)).rejects.toMatchObject({ statusCode: 400 });

  const resumed = await subscriptions().resume(id, { expand: ['latest_invoice'] });
  expect(resumed).toMatchObject({ status: 'active', latest_invoice: { status: 'paid', total: 2500 } });
  expect(resumed).not.toHaveProperty('status_details');
  expect(resumed.items.data[0]!.current_period_start).toBeGreaterThanOrEqual(
    items.data[0]!.current_period_start,
  );
  expect(await eventTypes(sandbox, 4)).toContain('customer.subscription.resumed');
  await expect(subscriptions().resume(id)).rejects.toMatchObject({ statusCode: 400 });
});

test('a resumed subscription keeps its cycle on request, and is past due if the card refuses', async () => {
  const subscription = await subscribe(sandbox);
  await subscriptions().pause(subscription.id);
  const same = await subscriptions().resume(subscription.id, { billing_cycle_anchor: { type: 'unchanged' } });
  expect(same).toMatchObject({ status: 'active', latest_invoice: subscription.latest_invoice });
  await payWith(sandbox, subscription, 'pm_card_chargeCustomerFail');
  await subscriptions().pause(subscription.id);
  expect(await subscriptions().resume(subscription.id)).toMatchObject({ status: 'past_due' });
});

test('a pause of the payments alone leaves the status', async () => {
  const { id } = await subscribe(sandbox);
  const paused = await subscriptions().update(id, { pause_collection: { behavior: 'void' } });
  expect(paused).toMatchObject({ status: 'active', pause_collection: { behavior: 'void' } });
  expect(await eventTypes(sandbox, 1)).toEqual(['customer.subscription.updated']);
  expect(await subscriptions().update(id, { pause_collection: '' })).toMatchObject({
    pause_collection: null,
  });
});

test('undelivered events are listed by type and page, for thirty days', async () => {
  // Those of the tests before.
  const onTheirWay = () => sandbox.stripe.events.list({ delivery_success: false, created: { gte: 1 } });
  await expect.poll(async () => (await onTheirWay()).data).toEqual([]);
  sandbox.receiver.close();
  const { id } = await subscribe(sandbox);
  await subscriptions().pause(id);
  const types = ['customer.subscription.created', 'customer.subscription.paused'];
  const undelivered = { delivery_success: false, types, created: { gte: 1 } };
  const first = await sandbox.stripe.events.list({ ...undelivered, limit: 1 });
  expect(first).toMatchObject({ has_more: true, data: [{ type: 'customer.subscription.paused' }] });
  const all = await sandbox.stripe.events.list({ ...undelivered, limit: 1 }).autoPagingToArray({ limit: 10 });
  expect(all.map(({ type, data }) => [type, (data.object as { id?: string }).id])).toEqual([
    ['customer.subscription.paused', id],
    ['customer.subscription.created', id],
  ]);
  await makeOlder(all[0]!.id, 31);
  const recent = await sandbox.stripe.events.list({ ...undelivered, limit: 10 });
  expect(recent.data.map((event) => event.id)).toEqual([all[1]!.id]);
  await expect(sandbox.stripe.events.list({ types, type: 'invoice.paid' })).rejects.toMatchObject({
    param: 'types',
  });
});

async function makeOlder(eventId: string, days: number): Promise<void> {
  const client = new pg.Client({ connectionString: sandbox.databaseUrl });
  await client.connect();
  await client.query('update stripe_events set created = created - $2 where id = $1', [
    eventId,
    days * 86_400,
  ]);
  await client.end();
}
