import { setTimeout as pause } from 'node:timers/promises';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { audit } from '../../src/agents/audit.ts';
import { type Pulse, startPulse } from '../../src/app/pulse.ts';
import { startSealing } from '../../src/audit/seal.ts';
import { startWorker } from '../../src/executors/worker/worker.ts';
import { startReleasing } from '../../src/limits/release-loop.ts';
import { startDelivery } from '../../src/notices/deliver.ts';
import { createEventHub, type EventHub } from '../../src/operations/events/event-hub.ts';
import { noFence } from '../../src/pulumi/fence.ts';
import { Secret } from '../../src/secret.ts';
import { KEYRING } from '../support/http-service.ts';
import { type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';

let at: OperationsFixture;
let events: EventHub;
let pulse: Pulse;
let statements = 0;
let now = new Date('2027-01-01T00:00:00Z');

beforeAll(async () => {
  at = await openOperations();
  // Counts what is asked of the database, without BEGIN and COMMIT.
  at.database = at.database.withPlugin({
    transformQuery: ({ node }) => {
      statements += 1;
      return node;
    },
    transformResult: async ({ result }) => result,
  });
  events = createEventHub({ url: new Secret(at.url), log: at.log });
  pulse = startPulse({ ...at, events, clock: { now: () => now } });
});
afterAll(async () => {
  await pulse.stop();
  await events.close();
  await at.close();
});
beforeEach(async () => {
  await at.empty();
  await sql`update audit_log set sealed = true`.execute(at.database);
});

/** Much sooner than the pulse would look by itself. */
const soon = { timeout: 4_000, interval: 20 };
const isQuiet = () => vi.waitFor(() => expect(pulse.isDue('operations')).toBe(false), soon);

test('says at once that something waits: rows of the log, notices, deliveries, operations', async () => {
  await isQuiet();
  await vi.waitFor(() => expect(pulse.isDue('audit')).toBe(false), soon);
  await at.database
    .transaction()
    .execute((trx) => audit(trx, { actor: 'test', action: 'test.test', details: {} }));
  await vi.waitFor(() => expect(pulse.isDue('audit')).toBe(true), soon);
  expect(pulse.isDue('operations')).toBe(false);
  await order(at, 'a1');
  await vi.waitFor(() => expect(pulse.isDue('operations')).toBe(true), soon);
});

test('knows when something falls due later, also by the time of business', async () => {
  await order(at, 'a1');
  await sql`update operations set run_after = now() + interval '2 seconds'`.execute(at.database);
  await isQuiet();
  await vi.waitFor(() => expect(pulse.isDue('operations')).toBe(true), soon);
  await sql`insert into subscriptions (subscription_id, agent_id, signals, seen_signals, next_at)
    values ('sub_1', 'a1', 1, 1, ${new Date(now.getTime() + 1000)})`.execute(at.database);
  await vi.waitFor(() => expect(pulse.isDue('payments')).toBe(false), soon);
  now = new Date(now.getTime() + 2000);
  await vi.waitFor(() => expect(pulse.isDue('payments')).toBe(true), soon);
});

test('an idle worker asks the database less than once a second', async () => {
  const receiver = {
    name: 'webhook:test',
    addressFor: () => undefined,
    send: async () => undefined as never,
  };
  const isDue = (work: 'notices' | 'deliveries' | 'audit' | 'limits') => () => pulse.isDue(work);
  const loops = [
    startSealing({ ...at, keyring: KEYRING }, { isDue: isDue('audit') }),
    startDelivery({ ...at, receivers: [receiver] }, { isDue: (what) => pulse.isDue(what) }),
    startReleasing({ ...at, clock: { now: () => now } }, { isDue: isDue('limits') }),
    await startWorker({
      ...at,
      runbooks: {},
      fence: noFence(new Secret('postgres://state')),
      concurrency: 1,
      workerId: 'w1',
      isDue: () => pulse.isDue('operations'),
    }),
  ];
  try {
    await isQuiet();
    await pause(2_500);
    const before = statements;
    await pause(6_000);
    expect(statements - before).toBeLessThan(6);
  } finally {
    await Promise.all(loops.map((loop) => loop.stop()));
  }
});
