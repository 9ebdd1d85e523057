import { afterEach, beforeEach, expect, test } from 'vitest';
import { deliveryFaultsSchema, drawFate, type Fate } from '../../../sandbox/stripe/delivery-faults.ts';
import { buy, type SandboxFixture, setup, startReceiver, until } from '../../support/sandbox.ts';

let sandbox: SandboxFixture;
beforeEach(async () => {
  sandbox = await setup();
});
afterEach(() => sandbox.close());

const bought = ['checkout.session.completed', 'customer.subscription.created', 'invoice.paid'];

async function listDeliveries(eventId: string) {
  const response = await fetch(`${sandbox.url}/sandbox/stripe/deliveries?eventId=${eventId}`);
  return ((await response.json()) as { deliveries: { try: number; status: number | null }[] }).deliveries;
}

test('a purchase is delivered to the webhook as three signed events', async () => {
  const paid = await buy(sandbox);
  await until(() => sandbox.receiver.received.length === 3);
  expect(sandbox.receiver.types()).toEqual(bought);
  const completed = sandbox.receiver.received.find(
    ({ event }) => event.type === 'checkout.session.completed',
  )!;
  expect(completed.event.data.object).toMatchObject({
    id: paid.id,
    payment_status: 'paid',
    metadata: paid.metadata,
  });
  expect(completed.event.pending_webhooks).toBe(1);
  await until(async () => (await sandbox.stripe.events.list({ delivery_success: true })).data.length === 3);
  expect((await sandbox.stripe.events.list({ delivery_success: false })).data).toEqual([]);
  expect(await sandbox.stripe.events.retrieve(completed.event.id)).toMatchObject({ pending_webhooks: 0 });
});

test('an event is retried until the webhook accepts it, never concurrently, each try with a new signature', async () => {
  const subscriptionId = String((await buy(sandbox)).subscription);
  await until(() => sandbox.receiver.received.length === 3);
  sandbox.receiver.received.length = 0;
  sandbox.receiver.state.mostAtOnce = 0;
  // The backoff doubles six times from 20 ms: more than a second passes, so the signed times differ.
  sandbox.receiver.answers.push(503, 500, 302, 503, 503, 503, 503);
  await sandbox.stripe.subscriptions.cancel(subscriptionId);
  await until(() => sandbox.receiver.received.length === 8);
  const ids = new Set(sandbox.receiver.received.map(({ event }) => event.id));
  expect(ids.size).toBe(1);
  expect(sandbox.receiver.types()[0]).toBe('customer.subscription.deleted');
  expect(sandbox.receiver.state.mostAtOnce).toBe(1);
  const [first, last] = [sandbox.receiver.received[0]!, sandbox.receiver.received[7]!];
  expect(last.signature).not.toBe(first.signature);
  const [eventId] = ids;
  await until(async () => (await listDeliveries(eventId!)).length === 8);
  expect(await listDeliveries(eventId!)).toMatchObject([
    { try: 8, status: 200, error: null },
    { try: 7, status: 503, error: expect.any(String) },
    { try: 6 },
    { try: 5 },
    { try: 4 },
    { try: 3, status: 302 },
    { try: 2, status: 500 },
    { try: 1, status: 503 },
  ]);
});

test('after a restart undelivered events go to the new address at once', async () => {
  await sandbox.close();
  // The next try would be a minute away.
  sandbox = await setup({ webhookRetryMs: 60_000 });
  sandbox.receiver.close();
  await buy(sandbox);
  const { data } = await sandbox.stripe.events.list({ delivery_success: false });
  expect(data.map(({ type }) => type).sort()).toEqual(bought);
  await until(async () => (await listDeliveries(data[0]!.id)).some(({ status }) => status === null));
  const elsewhere = await startReceiver();
  await sandbox.restart(elsewhere.url);
  await until(() => elsewhere.received.length === 3);
  expect(elsewhere.received.map(({ event }) => event.id).sort()).toEqual(data.map(({ id }) => id).sort());
  elsewhere.close();
});

test('a webhook that never answers does not delay the sandbox’s stop, and is retried', async () => {
  sandbox.receiver.answers.push('hang', 'hang', 'hang');
  await buy(sandbox);
  await until(() => sandbox.receiver.received.length === 3);
  const before = Date.now();
  await sandbox.restart();
  expect(Date.now() - before).toBeLessThan(5000);
  await until(() => sandbox.receiver.received.length === 6);
  await until(async () => (await sandbox.stripe.events.list({ delivery_success: true })).data.length === 3);
});

test('a delivered event can be sent again', async () => {
  await buy(sandbox);
  await until(async () => (await sandbox.stripe.events.list({ delivery_success: true })).data.length === 3);
  const { id } = sandbox.receiver.received[0]!.event;
  const path = `${sandbox.url}/sandbox/stripe/events/${id}/resend`;
  expect((await fetch(path, { method: 'POST' })).status).toBe(202);
  await until(() => sandbox.receiver.received.length === 4);
  expect(sandbox.receiver.received[3]?.event.id).toBe(id);
  const unknown = await fetch(`${sandbox.url}/sandbox/stripe/events/evt_none/resend`, { method: 'POST' });
  expect(unknown.status).toBe(404);
});

test('events are lost, doubled and late in the shares that are ordered, the same for a seed', async () => {
  const order = (faults: object) =>
    fetch(`${sandbox.url}/sandbox/stripe/deliveries/faults`, {
      method: 'PUT',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(faults),
    });
  expect((await order({ lose: 2 })).status).toBe(400);
  expect((await order({ lose: 1 })).status).toBe(200);
  await buy(sandbox);
  const undelivered = async () => (await sandbox.stripe.events.list({ delivery_success: false })).data;
  const onTheirWay = async () => {
    const response = await fetch(`${sandbox.url}/sandbox/stripe/deliveries`);
    return ((await response.json()) as { onTheirWay: number }).onTheirWay;
  };
  await until(async () => (await onTheirWay()) === 0);
  expect(sandbox.receiver.received).toEqual([]);
  const lost = await undelivered();
  expect(lost.map(({ type }) => type).sort()).toEqual(bought);
  // What is sent again on request arrives.
  await fetch(`${sandbox.url}/sandbox/stripe/events/${lost[0]!.id}/resend`, { method: 'POST' });
  await until(() => sandbox.receiver.received.length === 1);
  await order({ double: 1, delay: 1, delayMs: 50 });
  await buy(sandbox);
  await until(() => sandbox.receiver.received.length === 1 + 2 * bought.length);
  await until(async () => (await onTheirWay()) === 0);
  expect(await undelivered()).toHaveLength(2);

  const faults = deliveryFaultsSchema.parse({ lose: 0.05, double: 0.2, delay: 0.5, seed: 7 });
  const fates = Array.from({ length: 2000 }, (_, number) => drawFate(faults, String(number)));
  const share = (is: (fate: Fate) => boolean) => fates.filter(is).length / fates.length;
  expect(share(({ isLost }) => isLost)).toBeCloseTo(0.05, 1);
  expect(share(({ isDoubled }) => isDoubled)).toBeCloseTo(0.2, 1);
  expect(share(({ delayMs }) => delayMs > 0)).toBeCloseTo(0.5, 1);
  expect(drawFate(faults, '17')).toEqual(fates[17]);
  expect(drawFate({ ...faults, seed: 8 }, '17')).not.toEqual(fates[17]);
});
