import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { deliverDue } from '../../src/notices/deliver.ts';
import { claimDelivery, settleDelivery } from '../../src/notices/deliveries.ts';
import { queueNotice } from '../../src/notices/queue-notice.ts';
import type { Receiver } from '../../src/notices/receiver.ts';
import { spreadNotices } from '../../src/notices/spread.ts';
import { createWebhooks } from '../../src/notices/webhook.ts';
import { Secret } from '../../src/secret.ts';
import { type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';
import { openWebhookReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const NEXT_SECRET = `whsec_${Buffer.alloc(32, 8).toString('base64')}`;

let at: OperationsFixture;
let first: WebhookReceiver;
let second: WebhookReceiver;
let receivers: [Receiver, Receiver];
/** The service's clock, which only the tests move. */
let now = new Date();
const clock = { now: () => now };
const pass = (seconds: number) => {
  now = new Date(now.getTime() + seconds * 1000);
};
const MINUTE = 60;
/** Longer than the longest pause. */
const A_LONG_TIME = 30 * 3_600;

beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  await at.database.deleteFrom('notices').execute();
  at.logged.length = 0;
  // Ahead of Postgres, by which a new delivery is due at once.
  now = new Date(Date.now() + 24 * 3_600_000);
  first = await openWebhookReceiver(SECRET);
  second = await openWebhookReceiver(NEXT_SECRET);
  const urls = [first, second].map(({ url }) => new Secret(url));
  const secrets = [new Secret(NEXT_SECRET), new Secret(SECRET)];
  receivers = createWebhooks({ urls, secrets }) as [Receiver, Receiver];
  for (const agentId of ['a1', 'a2']) await order(at, agentId);
});
afterEach(async () => {
  await first.close();
  await second.close();
});

const running = new AbortController().signal;

/** Queues numbered notices of an agent. */
async function tell(agentId: string | undefined, ...numbers: number[]): Promise<void> {
  for (const number of numbers)
    await at.database.transaction().execute((trx) =>
      queueNotice(trx, {
        type: agentId === undefined ? 'fleet.mismatch' : 'agent.will_suspend',
        agentId,
        key: `${agentId} ${number}`,
        data: { number },
        at: new Date('2027-03-01T12:00:00.000Z'),
      }),
    );
  await spreadNotices(at.database, receivers);
}

const deliver = (receiver: Receiver) => deliverDue({ ...at, receivers, clock }, receiver, running);
const numbers = ({ received }: WebhookReceiver, agentId?: string) =>
  received
    .filter(({ data }) => agentId === undefined || data.agentId === agentId)
    .map(({ data }) => data.number);
const deliveries = (receiver: Receiver) =>
  at.database
    .selectFrom('notice_deliveries')
    .selectAll()
    .where('receiver', '=', receiver.name)
    .orderBy('sequence')
    .execute();

test('a notice arrives once at each receiver, verified by the reference library under either secret', async () => {
  await tell('a1', 1);
  expect(await deliver(receivers[0])).toBe(1);
  expect(await deliver(receivers[1])).toBe(1);
  expect(await deliver(receivers[0])).toBe(0);
  const [message] = first.received;
  expect(message).toMatchObject({
    type: 'agent.will_suspend',
    timestamp: '2027-03-01T12:00:00.000Z',
    data: { agentId: 'a1', number: 1 },
  });
  expect(message!.id).toMatch(/^msg_[0-9a-f]{32}$/);
  expect(message!.headers['content-type']).toBe('application/json');
  expect(second.received.map(({ id }) => id)).toEqual([message!.id]);
  expect(await deliveries(receivers[0])).toMatchObject([
    { status: 'delivered', attempts: 1, answer: 204, error: null, lease_until: null },
  ]);
});

test('a receiver that was down for an hour gets everything in order per agent, the other one is not delayed', async () => {
  let isDown = true;
  first.answer = (response) => response.writeHead(isDown ? 503 : 200).end();
  await tell('a1', 1, 2);
  await tell('a2', 1);
  for (let minute = 0; minute < 60; minute += 1) {
    if (minute === 20) await tell('a1', 3);
    if (minute === 40) await tell('a2', 2, 3);
    for (const receiver of receivers) await deliver(receiver);
    expect(second.received).toHaveLength(minute < 20 ? 3 : minute < 40 ? 4 : 6);
    pass(MINUTE);
  }
  // Only the first notice of each agent was tried, at growing pauses; the others wait for it.
  expect(first.received).toEqual([]);
  expect(new Set(first.tried).size).toBe(2);
  expect(first.tried).toHaveLength(2 * 7);

  // Its turn comes with the next attempt. Of one notice the answer gets lost, so it comes twice.
  isDown = false;
  let lost: string | undefined;
  first.answer = (response, { id, data }) => {
    if (data.agentId !== 'a1' || data.number !== 2 || lost !== undefined)
      return response.writeHead(200).end();
    lost = id;
    response.destroy();
  };
  for (let minute = 60; minute < 70; minute += 1) {
    await deliver(receivers[0]);
    pass(MINUTE);
  }
  expect(numbers(first, 'a1')).toEqual([1, 2, 3]);
  expect(numbers(first, 'a2')).toEqual([1, 2, 3]);
  const ids = second.received.map(({ id }) => id).sort();
  expect(first.received.map(({ id }) => id).sort()).toEqual(ids);
  // Besides the refused attempts, each came once; the lost one a second time, under the same id.
  expect(first.tried.slice(2 * 7).sort()).toEqual([...ids, lost].sort());
});

test('pauses grow over days; then the notice is given up and the next one has its turn', async () => {
  first.answer = (response) => response.writeHead(500).end();
  await tell('a1', 1, 2);
  const pauses: number[] = [];
  for (;;) {
    await deliver(receivers[0]);
    const [head] = await deliveries(receivers[0]);
    if (head!.status !== 'pending') break;
    pauses.push((head!.next_at.getTime() - now.getTime()) / 1000);
    pass(pauses.at(-1)! - 1);
    expect(await deliver(receivers[0])).toBe(0);
    pass(1);
  }
  expect(pauses).toEqual([...pauses].sort((a, b) => a - b));
  expect(pauses[0]).toBe(5);
  expect(pauses.reduce((sum, pause) => sum + pause, 0)).toBeGreaterThan(4 * 86_400);
  expect(await deliveries(receivers[0])).toMatchObject([
    { status: 'failed', attempts: 16, answer: 500, error: 'status 500' },
    { status: 'pending', attempts: 1 },
  ]);
  expect(at.logged.filter(({ event }) => event === 'notice.given_up')).toHaveLength(1);
});

test('a redirect is not followed, 410 ends the attempts, and Retry-After is obeyed', async () => {
  first.answer = (response) => response.writeHead(307, { location: '/elsewhere' }).end();
  await tell('a1', 1);
  await deliver(receivers[0]);
  expect(first.tried).toHaveLength(1);
  expect(await deliveries(receivers[0])).toMatchObject([{ status: 'pending', answer: 307 }]);
  pass(A_LONG_TIME);
  first.answer = (response) => response.writeHead(503, { 'retry-after': '1800' }).end();
  await deliver(receivers[0]);
  const [asked] = await deliveries(receivers[0]);
  expect(asked!.next_at.getTime()).toBe(now.getTime() + 1_800_000);
  pass(A_LONG_TIME);
  first.answer = (response) => response.writeHead(410).end();
  await deliver(receivers[0]);
  expect(await deliveries(receivers[0])).toMatchObject([{ status: 'failed', attempts: 3, answer: 410 }]);
});

test('what it answers is neither stored nor logged, and a connection that breaks is a failed attempt', async () => {
  first.answer = (response) => response.writeHead(400).end('a secret of the receiver');
  await tell('a1', 1);
  await tell('a2', 1);
  await deliver(receivers[0]);
  first.answer = (response) => response.destroy();
  pass(A_LONG_TIME);
  await deliver(receivers[0]);
  const rows = await deliveries(receivers[0]);
  expect(rows.map(({ attempts, answer }) => [attempts, answer])).toEqual([
    [2, null],
    [2, null],
  ]);
  expect(JSON.stringify([rows, at.logged])).not.toContain('secret of the receiver');
  expect(JSON.stringify([rows, at.logged])).not.toContain('whsec_');
});

test('a receiver that hangs delays no other, and a stop gives its notice back at once', async () => {
  const hanging = Promise.withResolvers<void>();
  first.answer = () => hanging.resolve();
  await tell('a1', 1);
  const stopping = new AbortController();
  const slow = deliverDue({ ...at, receivers, clock }, receivers[0], stopping.signal);
  await hanging.promise;
  await deliver(receivers[1]);
  expect(numbers(second)).toEqual([1]);
  stopping.abort();
  await slow;
  expect(await deliveries(receivers[0])).toMatchObject([
    { status: 'pending', attempts: 0, lease_until: null },
  ]);
  first.answer = (response) => response.writeHead(204).end();
  await deliver(receivers[0]);
  expect(numbers(first)).toEqual([1]);
});

test('two workers do not send one notice at once; after a lease has run out, the late one settles nothing', async () => {
  await tell('a1', 1, 2);
  const claimed = await claimDelivery(at.database, receivers[0].name, now);
  expect(claimed?.notice.data).toEqual({ number: 1 });
  expect(await claimDelivery(at.database, receivers[0].name, now)).toBeUndefined();
  await at.database
    .updateTable('notice_deliveries')
    .set({ lease_until: new Date(0) })
    .execute();
  expect(await deliver(receivers[0])).toBe(2);
  expect(numbers(first)).toEqual([1, 2]);
  const late = { delivered: false, answer: null, error: 'too late' } as const;
  expect(await settleDelivery(at.database, claimed!, late, now)).toEqual({ status: 'lost' });
  expect((await deliveries(receivers[0])).map(({ status }) => status)).toEqual(['delivered', 'delivered']);
});

test('many workers at once deliver each notice once, in order per agent', async () => {
  await tell('a1', 1, 2, 3, 4, 5);
  await tell('a2', 1, 2, 3, 4, 5);
  await tell(undefined, 1, 2);
  await Promise.all([1, 2, 3].map(() => deliver(receivers[0])));
  expect(numbers(first, 'a1')).toEqual([1, 2, 3, 4, 5]);
  expect(numbers(first, 'a2')).toEqual([1, 2, 3, 4, 5]);
  expect(first.tried).toHaveLength(12);
});

test('a notice without an agent that is refused delays no other', async () => {
  first.answer = (response, { data }) => response.writeHead(data.number === 1 ? 400 : 204).end();
  await tell(undefined, 1, 2, 3);
  await deliver(receivers[0]);
  expect(numbers(first).sort()).toEqual([2, 3]);
  expect((await deliveries(receivers[0])).map(({ status }) => status)).toEqual([
    'pending',
    'delivered',
    'delivered',
  ]);
});

test('a receiver that throws has failed: the attempt is settled, and the next one comes after a pause', async () => {
  const throwing: Receiver = { ...receivers[0], send: () => Promise.reject(new RangeError('Invalid time')) };
  await tell('a1', 1);
  await tell('a2', 1);
  expect(await deliver(throwing)).toBe(2);
  const settled = { status: 'pending', attempts: 1, lease_until: null, error: 'Invalid time' };
  const rows = await deliveries(throwing);
  expect(rows).toMatchObject([settled, settled]);
  for (const { next_at } of rows) expect(next_at.getTime()).toBeGreaterThan(now.getTime());
});

test('a delivery that cannot be settled is thrown once all others have ended, so that a stop waits', async () => {
  await tell('a1', 1);
  await tell('a2', 1);
  const begun = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<void>();
  const failed = Promise.withResolvers<void>();
  const slow: Receiver = {
    ...receivers[0],
    send: async ({ agentId }) => {
      if (agentId === 'a2') {
        begun.resolve();
        await answered.promise;
        return { delivered: true, answer: 204 };
      }
      await begun.promise;
      return {
        delivered: false,
        error: 'x',
        get answer(): number {
          failed.resolve();
          throw new Error('the connection is gone');
        },
      };
    },
  };
  let isOver = false;
  const outcome = deliver(slow)
    .catch((error: Error) => error.message)
    .finally(() => {
      isOver = true;
    });
  await failed.promise;
  // A round trip, in which a failure that is thrown at once would arrive.
  await deliveries(slow);
  expect(isOver).toBe(false);
  answered.resolve();
  expect(await outcome).toBe('the connection is gone');
  expect((await deliveries(slow)).map(({ status }) => status)).toEqual(['pending', 'delivered']);
});

test('a receiver that is configured later gets what happens later', async () => {
  await tell('a1', 1);
  const url = new Secret(`${first.url}/later`);
  const [later] = createWebhooks({ urls: [url], secrets: [new Secret(SECRET)] });
  receivers = [receivers[0], later!];
  await tell('a1', 2);
  expect((await deliveries(later!)).length).toBe(1);
  // An address may contain a token, so rows name its host alone.
  expect(later!.name).toMatch(/^webhook:127\.0\.0\.1:\d+:[0-9a-f]{12}$/);
});
