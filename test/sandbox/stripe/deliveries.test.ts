import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Bed, buy, setup, startReceiver, until } from './setup.ts';

let bed: Bed;
beforeEach(async () => {
  bed = await setup();
});
afterEach(() => bed.close());

const bought = ['checkout.session.completed', 'customer.subscription.created', 'invoice.paid'];

async function deliveriesOf(eventId: string) {
  const response = await fetch(`${bed.url}/sandbox/stripe/deliveries?eventId=${eventId}`);
  return ((await response.json()) as { deliveries: { try: number; status: number | null }[] }).deliveries;
}

test('a purchase reaches the webhook as three signed events, which then count as delivered', async () => {
  const paid = await buy(bed);
  await until(() => bed.receiver.received.length === 3);
  expect(bed.receiver.types()).toEqual(bought);
  const completed = bed.receiver.received.find(({ event }) => event.type === 'checkout.session.completed')!;
  expect(completed.event.data.object).toMatchObject({
    id: paid.id,
    payment_status: 'paid',
    metadata: paid.metadata,
  });
  expect(completed.event.pending_webhooks).toBe(1);
  await until(async () => (await bed.stripe.events.list({ delivery_success: true })).data.length === 3);
  expect((await bed.stripe.events.list({ delivery_success: false })).data).toEqual([]);
  expect(await bed.stripe.events.retrieve(completed.event.id)).toMatchObject({ pending_webhooks: 0 });
});

test('an event is tried again until the webhook accepts it, never twice at once, each try signed afresh', async () => {
  const subscriptionId = String((await buy(bed)).subscription);
  await until(() => bed.receiver.received.length === 3);
  bed.receiver.received.length = 0;
  bed.receiver.state.mostAtOnce = 0;
  // Six pauses that double from 20 ms: more than a second passes, so the signed times differ.
  bed.receiver.answers.push(503, 500, 302, 503, 503, 503, 503);
  await bed.stripe.subscriptions.cancel(subscriptionId);
  await until(() => bed.receiver.received.length === 8);
  const ids = new Set(bed.receiver.received.map(({ event }) => event.id));
  expect(ids.size).toBe(1);
  expect(bed.receiver.types()[0]).toBe('customer.subscription.deleted');
  expect(bed.receiver.state.mostAtOnce).toBe(1);
  const [first, last] = [bed.receiver.received[0]!, bed.receiver.received[7]!];
  expect(last.signature).not.toBe(first.signature);
  const [eventId] = ids;
  await until(async () => (await deliveriesOf(eventId!)).length === 8);
  expect(await deliveriesOf(eventId!)).toMatchObject([
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

test('what was undelivered when the sandbox stopped goes at once to the address of the next start', async () => {
  await bed.close();
  // The next try would be a minute away.
  bed = await setup({ webhookRetryMs: 60_000 });
  bed.receiver.close();
  await buy(bed);
  const { data } = await bed.stripe.events.list({ delivery_success: false });
  expect(data.map(({ type }) => type).sort()).toEqual(bought);
  await until(async () => (await deliveriesOf(data[0]!.id)).some(({ status }) => status === null));
  const elsewhere = await startReceiver();
  await bed.restart(elsewhere.url);
  await until(() => elsewhere.received.length === 3);
  expect(elsewhere.received.map(({ event }) => event.id).sort()).toEqual(data.map(({ id }) => id).sort());
  elsewhere.close();
});

test('a webhook that never answers does not hold the end of the sandbox up, and is tried again', async () => {
  bed.receiver.answers.push('hang', 'hang', 'hang');
  await buy(bed);
  await until(() => bed.receiver.received.length === 3);
  const before = Date.now();
  await bed.restart();
  expect(Date.now() - before).toBeLessThan(5000);
  await until(() => bed.receiver.received.length === 6);
  await until(async () => (await bed.stripe.events.list({ delivery_success: true })).data.length === 3);
});

test('a delivered event can be sent again', async () => {
  await buy(bed);
  await until(async () => (await bed.stripe.events.list({ delivery_success: true })).data.length === 3);
  const { id } = bed.receiver.received[0]!.event;
  const path = `${bed.url}/sandbox/stripe/events/${id}/resend`;
  expect((await fetch(path, { method: 'POST' })).status).toBe(202);
  await until(() => bed.receiver.received.length === 4);
  expect(bed.receiver.received[3]?.event.id).toBe(id);
  const unknown = await fetch(`${bed.url}/sandbox/stripe/events/evt_none/resend`, { method: 'POST' });
  expect(unknown.status).toBe(404);
});
